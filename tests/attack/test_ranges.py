"""Nothing out of range passes: rows of an Embedding, class labels and indices, wherever they come from."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch

import miniframe as mf

WORDS, CLASSES, SAMPLES = 7, 3, 12
RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, WORDS, (SAMPLES, 4)), RNG.integers(0, CLASSES, SAMPLES)
OUTSIDE = [-1, WORDS, 10**6, 2**31 - 1, -(2**31)]


class Cut(mf.Module):
    """Reads a part of its input, so that nobody sees the table's numbers before the step."""

    def __init__(self, table):
        self.table = table

    def forward(self, x):
        return self.table(x[:, 1:]).sum(axis=1)


def reader(first=None):
    mf.seed(1)
    if first == "cut":
        return mf.Sequential(Cut(mf.Embedding(WORDS, 5)), mf.Linear(5, CLASSES))
    return mf.Sequential(mf.Embedding(WORDS, 5), mf.Flatten(), mf.Linear(20, CLASSES))


def weights(model):
    return [np.array(p.value).tolist() for p in model.parameters()]


def spoilt(array, number, place):
    array = array.astype(np.int64)
    array.reshape(-1)[place] = number
    return array


def fit(model, x, y, **options):
    settings = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 2, "batch_size": 5, "verbose": 0, "seed": 0}
    return model.fit(x, y, **{**settings, **options})


def words_of(part):
    """What the error has to say about a number out of range in x or in y."""
    if part == "x":
        return rf"(x: )?Embedding\({WORDS} -> 5\): expected numbers in 0..{WORDS - 1}, got "
    return rf"CrossEntropyLoss: expected class labels in 0..{CLASSES - 1}, got "


def place_of(part, place):
    return list(np.unravel_index(place, X.shape)) if part == "x" else [place]


def bad_data(part, number, place):
    return (spoilt(X, number, place), Y) if part == "x" else (X, spoilt(Y, number, place))


everywhere = hypothesis.given(
    part=st.sampled_from("xy"),
    number=st.sampled_from(OUTSIDE),
    place=st.integers(0, SAMPLES - 1),
    compile=st.booleans(),
)
often = hypothesis.settings(max_examples=25, deadline=None, derandomize=True)


@often
@everywhere
def test_in_memory_it_is_found_before_the_first_step(part, number, place, compile):
    model, (x, y) = reader(), bad_data(part, number, place)
    before = weights(model)
    at = "".join(f"{i}, " for i in place_of(part, place))[:-2]
    for begin, call in {
        "fit: ": lambda: fit(model, x, y, compile=compile),
        "fit: validation_data: ": lambda: fit(model, X, Y, compile=compile, validation_data=(x, y)),
        "fit: validation_data: batch 1: ": lambda: fit(model, X, Y, compile=compile, validation_data=[(x, y)]),
        "evaluate: ": lambda: model.evaluate(x, y, loss="cross_entropy", batch_size=2),
    }.items():
        with pytest.raises(ValueError, match=rf"^{begin}{words_of(part)}{number} at \[{at}\]$"):
            call()
    if part == "x":
        with pytest.raises(ValueError, match=rf"^predict: {words_of(part)}{number} at \[{at}\]$"):
            model.predict(x, batch_size=2)
    assert weights(model) == before


@often
@everywhere
@pytest.mark.parametrize("kind", ["numpy", "lists", "torch", "memmap"])
def test_in_a_stream_it_is_found_before_the_step_of_its_batch(kind, tmp_path_factory, part, number, place, compile):
    bad = bad_data(part, number, place)
    model, twin = reader(), reader()
    if kind == "memmap":
        folder = tmp_path_factory.mktemp("mapped")
        np.save(folder / "x.npy", bad[0])
        source = (np.load(folder / "x.npy", mmap_mode="r"), bad[1])
        words = r"fit: batch \d: "
    else:
        turned = {"numpy": np.asarray, "lists": np.ndarray.tolist, "torch": torch.tensor}[kind]
        source = (lambda: ((turned(x), turned(y)) for x, y in ((X, Y), bad)), None)
        words = "fit: batch 2: "
    with pytest.raises(ValueError, match=rf"^{words}{words_of(part)}{number} at "):
        fit(model, *source, compile=compile)
    if kind != "memmap":
        fit(twin, lambda: iter([(X, Y)]), None, compile=compile, epochs=1)
        assert weights(model) == weights(twin)


@often
@everywhere
@pytest.mark.parametrize("first", [None, "cut"])
def test_where_it_cannot_be_seen_in_time_the_fit_ends_with_the_weights_of_the_last_good_step(
    first, part, number, place, compile
):
    place = 4 * place + 1 if part == "x" else place  # a column that is read by both models
    x, y = (mx.array(array) for array in bad_data(part, number, place)) if True else ()
    model, twin = reader(first), reader(first)
    good = mx.array(X), mx.array(Y)
    with pytest.raises((ValueError, mf.NonFiniteError), match="Embedding|CrossEntropyLoss"):
        fit(model, lambda: iter([good, (x, y), good]), None, compile=compile)
    fit(twin, lambda: iter([good]), None, compile=compile, epochs=1)
    assert np.isfinite(np.concatenate([np.array(p.value).reshape(-1) for p in model.parameters()])).all()
    assert weights(model) == weights(twin)


def test_numbers_beyond_32_bits_never_wrap_into_the_range():
    for part, number in (("x", 2**32), ("y", 2**32 + 1), ("y", -(2**32))):
        with pytest.raises(ValueError, match=rf"^fit: {part}: expected numbers that fit into int32, got {number} at "):
            fit(reader(), *bad_data(part, number, 3))


def test_every_number_that_there_is_passes():
    x, y = np.arange(WORDS * 4).reshape(WORDS, 4) % WORDS, np.arange(WORDS) % CLASSES
    for kind in (np.uint8, np.int8, np.int64, np.uint64):
        history = fit(reader(), x.astype(kind), y.astype(kind), validation_data=(x, y))
        assert np.isfinite([*history.history["loss"], *history.history["val_loss"]]).all()


def test_several_inputs_are_told_apart():
    numbers, words = mf.Input(shape=(2,)), mf.Input(shape=(4,), dtype=mx.int32)
    joined = mf.concatenate([numbers, mf.Flatten()(mf.Embedding(WORDS, 5)(words))], axis=1)
    model = mf.Graph([numbers, words], mf.Linear(22, CLASSES)(joined))
    real = RNG.normal(size=(SAMPLES, 2))
    fit(model, (real, X), Y)
    with pytest.raises(ValueError, match=rf"^fit: x\[1\]: Embedding.*got {WORDS} at \[9, 3\]$"):
        fit(model, (real, spoilt(X, WORDS, 39)), Y)


@pytest.mark.parametrize("name", ["fit", "evaluate"])
def test_shapes_in_errors_are_those_of_the_users_data(name):
    model, x, y = mf.Sequential(mf.Linear(2, 1)), RNG.normal(size=(20, 2)), RNG.normal(size=20)
    words = r"MSELoss: expected a target of the prediction's shape \(20, 1\), got \(20,\); use y.reshape\(-1, 1\)$"
    with pytest.raises(ValueError, match=f"^{name}: {words}"):
        model.evaluate(x, y, loss="mse") if name == "evaluate" else fit(model, x, y, loss="mse")


@often
@hypothesis.given(
    st.integers(1, 20), st.sampled_from([mf.MSELoss, mf.L1Loss, mf.HuberLoss]), st.sampled_from(["mean", "sum"])
)
def test_what_evaluate_gives_does_not_depend_on_how_samples_come_in_batches(batch_size, make, reduction):
    mf.seed(0)
    model, x, y = mf.Sequential(mf.Linear(2, 3)), RNG.normal(size=(20, 2)), RNG.normal(size=(20, 3))
    loss = make(reduction=reduction)
    whole = loss(model(mf.as_array(x)), mf.as_array(y)).item()
    found = model.evaluate(x, y, loss=loss, metrics=["mae"], batch_size=batch_size)
    np.testing.assert_allclose(found["loss"], whole, rtol=1e-5)
    history = fit(model, x, y, loss=loss, optimizer=mf.SGD(model, lr=0.0), epochs=1, validation_data=(x, y))
    np.testing.assert_allclose(history.history["val_loss"], [whole], rtol=1e-5)


STREAMS = {"mlx": mx.array, "numpy": np.asarray, "lists": np.ndarray.tolist}


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("part", ["x", "y"])
@pytest.mark.parametrize("first", [None, "cut"])
def test_the_batch_of_a_stream_is_named_wherever_it_is_used(first, part, kind, compile):
    turned, place = STREAMS[kind], 21 if part == "x" else 5
    good, bad = ([turned(a) for a in data] for data in ((X, Y), bad_data(part, 99, place)))
    model = reader(first)

    def stream():
        return iter([good, good, bad, good])

    with pytest.raises((ValueError, mf.NonFiniteError)) as caught:
        fit(model, stream, None, compile=compile)
    text = str(caught.value)
    assert "batch 3" in text and "got 99 at" in text and "learning rate" not in text, text
    words = r"(Embedding|CrossEntropyLoss).* got 99 at \[5"
    with pytest.raises(ValueError, match=rf"^fit: validation_data: batch 3: {words}"):
        fit(model, X, Y, compile=compile, validation_data=stream)
    with pytest.raises(ValueError, match=rf"^evaluate: batch 3: {words}"):
        model.evaluate(stream, loss="cross_entropy")


def test_a_layer_in_the_middle_is_heard_with_the_number_of_the_batch():
    model, (x, y) = reader("cut"), bad_data("x", WORDS, 37)
    words = rf"batch 5: Embedding\({WORDS} -> 5\): expected numbers in 0..{WORDS - 1}, got {WORDS} at \[1, 0\]$"
    with pytest.raises(ValueError, match=f"^predict: {words}"):
        model.predict(x, batch_size=2)
    with pytest.raises(ValueError, match=f"^evaluate: {words}"):
        model.evaluate(x, y, loss="cross_entropy", batch_size=2)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int64, np.uint64, bool])
def test_views_and_all_types_of_labels_are_looked_at(kind):
    model, labels = reader(), np.arange(2 * SAMPLES) % 2
    labels = labels.astype(kind)[::2][::-1]  # a view that goes backwards in steps
    model.evaluate(X[::-1], labels, loss="cross_entropy")
    assert np.isfinite(fit(model, X[::-1], labels).history["loss"]).all()
    whole = mx.array(np.ascontiguousarray(labels))
    for given in (whole, mx.array(np.repeat(labels, 2))[::2], mx.broadcast_to(whole[:1], (SAMPLES,))):
        assert np.isfinite(fit(model, mx.array(X)[::-1], given).history["loss"]).all()
        if kind is not bool:
            given = mx.where(mx.arange(SAMPLES) == 3, mx.array(CLASSES, given.dtype), given)[::-1]
            with pytest.raises(ValueError, match=rf"got {CLASSES} at \[8\]$"):
                fit(model, X, given)
            with pytest.raises(ValueError, match=rf"got {CLASSES} at \[8\]$"):
                mf.CrossEntropyLoss()(model(X), given)


@pytest.mark.parametrize("name", ["perplexity", "top_2"])
@pytest.mark.parametrize("bad", [CLASSES, -1, 2**31 - 1, -100])
def test_metrics_that_pick_the_number_of_a_class_refuse_others(name, bad):
    model, loss = reader(), mf.CrossEntropyLoss(ignore_index=bad)  # so that the loss does not mind
    with pytest.raises(ValueError, match=rf"^evaluate: metric '{name}': .* labels in 0..{CLASSES - 1}, got {bad} at"):
        model.evaluate(X, spoilt(Y, bad, 2), loss=loss, metrics=[name])


def test_a_number_to_ignore_is_no_class_in_any_type():
    logits = mx.array(RNG.normal(size=(2, 200)).astype(np.float32))
    labels = mx.array(np.array([156, 1], np.uint8))  # 156 is -100 in eight bits
    assert mf.CrossEntropyLoss(ignore_index=-100)(logits, labels).item() == mf.CrossEntropyLoss()(logits, labels).item()


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("kind", STREAMS)
def test_targets_of_two_classes_are_looked_at_even_where_a_wrong_one_would_not_show(kind, compile):
    model, x, turned = mf.Sequential(mf.Linear(2, 1)), RNG.normal(size=(SAMPLES, 2)), STREAMS[kind]
    y = np.arange(SAMPLES)[:, None] % 2
    settings = {"loss": "bce_with_logits", "compile": compile}
    fit(model, x, y, **settings)
    with pytest.raises(ValueError, match=r"^fit: BCEWithLogitsLoss: expected targets in 0..1, got 2 at \[3, 0\]$"):
        fit(model, x, spoilt(y, 2, 3), **settings)
    with pytest.raises(ValueError, match=r"^fit: batch 2: BCEWithLogitsLoss: expected targets in 0..1, got 2 at \[3"):
        fit(model, lambda: iter([(turned(x), turned(a)) for a in (y, spoilt(y, 2, 3))]), None, **settings)
