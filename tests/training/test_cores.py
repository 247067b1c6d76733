"""A step with the batch in parts: chosen only where nobody can tell, and then the same numbers."""

import threading

import blas
import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.backend import machine
from miniframe.training import cores
from miniframe.training.step import Step

pytestmark = pytest.mark.usefixtures("on_cpu")

RNG = np.random.default_rng(0)
X = mx.array(RNG.normal(size=(100, 8, 8, 1)).astype(np.float32))
LABELS = mx.array(RNG.integers(0, 3, size=100).astype(np.int32))
WEIGHTS = mx.array(RNG.uniform(0.5, 2, size=100).astype(np.float32))


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    monkeypatch.setenv(cores.SETTING, "3")


def convolutional():
    mf.seed(1)
    return mf.Sequential(
        mf.Conv2d(1, 4, 3, padding=1), mf.ReLU(), mf.MaxPool2d(2), mf.Residual(mf.Conv2d(4, 4, 3, padding=1)),
        mf.GlobalAvgPool2d(), mf.Linear(4, 3),
    )  # fmt: skip


def train(kind, batches, reduction="mean", **options):
    model, loss = convolutional(), mf.CrossEntropyLoss(reduction=reduction, **options)
    step = kind(model, loss, mf.SGD(model, lr=0.05 if reduction == "mean" else 0.001, momentum=0.9), True, True)
    values, predictions = zip(*[step(*batch) for batch in batches])
    return [np.array(p.value) for p in model.parameters()], np.array(mx.stack(values)), predictions


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("size", [100, 48, 47, 20])  # three parts, smaller ones, two parts, too small for parts
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_give_the_numbers_of_the_whole(reduction, size, weighted):
    batch = (X[:size], LABELS[:size], WEIGHTS[:size]) if weighted else (X[:size], LABELS[:size])
    whole, losses, predictions = train(Step, [batch] * 3, reduction)
    parts, losses_in_parts, predictions_in_parts = train(cores.StepInParts, [batch] * 3, reduction)
    np.testing.assert_allclose(losses_in_parts, losses, rtol=1e-5)
    for one, other in zip(parts, whole):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for one, other in zip(predictions_in_parts, predictions):
        np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5)


@pytest.mark.parametrize("ignored", [slice(0, 30), slice(0, 100, 3), slice(0, 100)])
def test_parts_with_targets_to_ignore_give_the_numbers_of_the_whole(ignored):
    labels = np.array(LABELS)
    labels[ignored] = -1
    batch = X, mx.array(labels)
    whole, losses, _ = train(Step, [batch] * 3, ignore_index=-1)
    parts, losses_in_parts, _ = train(cores.StepInParts, [batch] * 3, ignore_index=-1)
    np.testing.assert_allclose(losses_in_parts, losses, rtol=1e-5)
    for one, other in zip(parts, whole):
        np.testing.assert_allclose(one, other, atol=1e-6)


X_WIDE = RNG.normal(size=(3000, 8)).astype(np.float32)


def wide_batch(samples=3000, width=64):
    mf.seed(1)
    model = mf.Sequential(mf.Linear(8, width), mf.ReLU(), mf.Linear(width, 3))
    return model, mx.array(RNG.normal(size=(samples, 8)).astype(np.float32))


@pytest.mark.parametrize(
    "samples, width, expected",
    [(3000, 64, True), (100, 64, False), (100_000, 2, True), (3000, 1, False), (300, 2000, True), (1, 10**5, False)],
)
def test_large_batches_of_a_narrow_model_are_split(samples, width, expected):
    model, x = wide_batch(samples, width)
    assert cores.worth_splitting(model, mf.MSELoss(), x) == expected
    assert not cores.worth_splitting(model, mf.MSELoss()) and not cores.worth_splitting(model, mf.MSELoss(), x[:0])


def test_a_large_product_is_left_to_the_threads_of_the_blas():
    model = mf.Sequential(mf.Linear(512, 512), mf.ReLU(), mf.Linear(512, 512))
    assert not cores.worth_splitting(model, mf.MSELoss(), mx.zeros((10_000, 512)))


@pytest.mark.parametrize("batch_size", [3000, 1700])
def test_fit_on_large_batches_gives_the_numbers_of_the_whole(batch_size, monkeypatch):
    labels, found = RNG.integers(0, 3, size=3000), []
    for count in ("3", "1"):
        monkeypatch.setenv(cores.SETTING, count)
        model, _ = wide_batch()
        settings = {"loss": "cross_entropy", "optimizer": "adam", "metrics": ["accuracy"], "verbose": 0, "seed": 0}
        history = model.fit(X_WIDE, labels, epochs=3, batch_size=batch_size, **settings)
        found.append((model._last_step, history.history, np.array(model[0].weight)))
    (parts, in_parts, weight), (whole, in_whole, expected) = found
    assert isinstance(parts, cores.StepInParts) and type(whole) is Step
    np.testing.assert_allclose(weight, expected, atol=1e-5)
    for name, numbers in in_whole.items():
        np.testing.assert_allclose(in_parts[name], numbers, rtol=1e-4)


def gpt(**options):
    mf.seed(1)
    return mf.models.GPT(vocabulary=20, context=24, embed_dim=16, num_heads=2, num_layers=2, **options)


TOKENS = mx.array(RNG.integers(0, 20, size=(100, 25)).astype(np.int32))


def test_a_transformer_is_split_and_gives_the_numbers_of_the_whole():
    x, y, loss = TOKENS[:, :-1], TOKENS[:, 1:], mf.CrossEntropyLoss()
    assert cores.worth_splitting(gpt(), loss, x) and not cores.worth_splitting(gpt(), loss, x[:1])
    found = []
    for kind in (Step, cores.StepInParts):
        model = gpt()
        step = kind(model, loss, mf.Adam(model, lr=0.001, eps=1e-4, clip_norm=1.0))
        losses = [step(x, y)[0].item() for _ in range(3)]
        found.append((losses, [np.array(p.value) for p in model.parameters()]))
    (losses, whole), (in_parts, parts) = found
    np.testing.assert_allclose(in_parts, losses, rtol=1e-6)
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)  # Adam divides gradients, however small, by their size


@pytest.mark.parametrize("size, split", [(100, True), (48, True), (4, False)])
def test_a_stream_is_split_or_not_by_its_first_batch(size, split):
    model, threads, before = gpt(), [], blas.threads()

    class Look(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            threads.append(blas.threads())

    batches = [(TOKENS[:size, :-1], TOKENS[:size, 1:])] * 2
    model.fit(batches, loss="cross_entropy", optimizer="sgd", epochs=2, verbose=0, callbacks=[Look()])
    assert type(model._last_step) is cores.StepInParts and model._last_step.worth is split
    assert threads == [1 if split else before] * 4 and blas.threads() == before


def test_an_epoch_that_breaks_off_gives_the_threads_back_for_good():
    before, model = blas.threads(), convolutional()
    step = cores.StepInParts(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1))
    with pytest.raises(KeyboardInterrupt), step.threads():
        raise KeyboardInterrupt
    step(X, LABELS)  # decides outside of an epoch
    assert step.worth and blas.threads() == before


def test_few_long_sequences_are_split_and_a_few_images_keep_all_threads():
    before = blas.threads()
    long = mf.models.GPT(vocabulary=20, context=200, embed_dim=16, num_heads=2, num_layers=2)
    x, images = mx.zeros((6, 200), dtype=mx.int32), X[:20]
    for model, batch, parts in ((long, (x, x), 3), (convolutional(), (images, LABELS[:20]), 1)):
        step = cores.StepInParts(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1))
        with step.threads():
            step(*batch)
            assert step.worth is (parts > 1) and blas.threads() == (1 if parts > 1 else before)
        assert not step.worth or len(step.ends(len(batch[0]))) == parts + 1


@pytest.mark.parametrize(
    "model, whole",
    [
        (lambda: gpt(dropout=0.1), False),
        (lambda: mf.Sequential(mf.LSTM(8, 4, num_layers=2, dropout=0.1)), True),  # its masks have time in front
        (lambda: mf.Sequential(mf.LSTM(8, 4, num_layers=2), mf.Dropout(0.2)), False),
        (lambda: mf.Sequential(mf.Linear(8, 4), mf.GaussianSample()), True),
    ],
)
def test_what_draws_other_numbers_than_masks_of_samples_is_not_split(model, whole):
    assert cores.can_be_split(model(), mf.MSELoss()) is not whole


def forgetful():
    """Masks of numbers, of whole samples, and one for the whole batch."""
    mf.seed(1)
    return mf.Sequential(
        mf.Conv2d(1, 4, 3), mf.Dropout(0.5), mf.StochasticDepth(0.3), mf.Flatten(), mf.StochasticDepth(0.1, "batch"),
        mf.Linear(144, 3),
    )  # fmt: skip


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize(
    "make, data",
    [
        (lambda: gpt(dropout=0.2), (TOKENS[:, :-1], TOKENS[:, 1:])),
        (lambda: gpt(dropout=0.2, rotary=True), (TOKENS[:34, :-1], TOKENS[:34, 1:])),
        (forgetful, (X, LABELS)),
        (lambda: mf.checkpointed(gpt(dropout=0.2)), (TOKENS[:, :-1], TOKENS[:, 1:])),
    ],
)
def test_a_sample_meets_the_same_random_mask_in_a_part_as_in_the_whole_batch(make, data, compile):
    found = []
    for kind in (Step, cores.StepInParts):
        mf.seed(4)
        model = make()
        step = kind(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1), compile)
        losses = [step(*data)[0].item() for _ in range(3)]
        found.append((losses, [np.array(p.value) for p in model.parameters()], mf.random.get_state()))
        if kind is cores.StepInParts:
            assert step.worth and len(step.ends(len(data[0]))) > 2
    (losses, whole, state), (in_parts, parts, other_state) = found
    np.testing.assert_allclose(in_parts, losses, rtol=1e-5)
    assert state == other_state and len(set(losses)) == 3
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_dropout_switched_on_midway_is_split_too():
    model = gpt()
    step = cores.StepInParts(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1))
    step(TOKENS[:, :-1], TOKENS[:, 1:])
    model.blocks[0].dropout.p = 0.5
    step.look_first = True
    step(TOKENS[:, :-1], TOKENS[:, 1:])
    assert step.apart and step.worth


@pytest.mark.parametrize("samples", [32, 33, 100, 4097])
@pytest.mark.parametrize("work", [1, 4e5, 1e9])
def test_parts_cover_the_batch_and_the_first_is_the_smallest(samples, work):
    model = convolutional()
    step = cores.StepInParts(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1))
    step.work = work
    ends = step.ends(samples)
    first, *others = np.diff(ends)
    assert (ends[0], ends[-1], len(ends)) == (0, samples, min(3, samples // cores.SMALLEST_PART) + 1)
    assert max(others) - min(others) <= 1
    assert min(others) / 2 - 1 <= first <= max(others)
    assert step.ends(cores.SMALLEST_PART) == [0, cores.SMALLEST_PART]


def test_frozen_layers_stay_as_they_are():
    model = convolutional()
    model[0].freeze()
    before = np.array(model[0].weight.value)
    step = cores.StepInParts(model, mf.CrossEntropyLoss(), mf.SGD(model, lr=0.1))
    mx.eval(step(X, LABELS)[0])
    assert np.array_equal(np.array(model[0].weight.value), before)
    assert model[0].weight.grad is None


class Observer(mf.Callback):
    """Notes how many threads a matrix product has during fit."""

    def on_batch_end(self, batch, logs):
        self.threads = blas.threads()


def test_fit_takes_parts_and_gives_the_threads_back(monkeypatch):
    histories, learned, before = [], [], blas.threads()
    for number, kind in (("3", cores.StepInParts), ("1", Step)):
        monkeypatch.setenv(cores.SETTING, number)
        model, observer = convolutional(), Observer()
        history = model.fit(
            X, LABELS, loss="cross_entropy", optimizer=mf.SGD(model, lr=0.05), epochs=2, batch_size=50, seed=0,
            metrics=["accuracy"], validation_split=0.2, verbose=0, callbacks=[observer],
        )  # fmt: skip
        assert cores.choose(model, mf.CrossEntropyLoss()) is kind
        assert observer.threads == (1 if kind is cores.StepInParts else before)
        assert blas.threads() == before
        learned.append([np.array(p.value) for p in model.parameters()])
        histories.append(history.history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], atol=1e-5)
    for in_parts, whole in zip(*learned, strict=True):
        np.testing.assert_allclose(in_parts, whole, atol=1e-6)


class Centred(mf.Module):
    """A layer of a user's in which every sample sees the others."""

    def forward(self, x):
        self.saved = ()
        return x - x.mean(axis=0)

    def backward(self, grad_output):
        return grad_output - grad_output.mean(axis=0)


class MeanOfBatch(mf.MSELoss):
    """A loss of a user's, of which nothing is known."""


@pytest.mark.parametrize("extra", [mf.BatchNorm(4), Centred(), mf.Softmax(), mf.Tap()], ids=lambda layer: layer.title())
def test_models_that_could_tell_are_not_split(extra):
    assert cores.worth_splitting(convolutional(), mf.CrossEntropyLoss())
    assert not cores.worth_splitting(
        mf.Sequential(mf.Conv2d(1, 4, 3), extra, mf.Flatten(), mf.Linear(144, 3)), mf.MSELoss()
    )


def test_models_without_convolutions_and_unknown_losses_are_not_split():
    assert not cores.worth_splitting(mf.Sequential(mf.Linear(2, 3), mf.ReLU()), mf.MSELoss())
    assert not cores.worth_splitting(convolutional(), MeanOfBatch())


def test_one_core_computes_batches_whole(monkeypatch):
    monkeypatch.setenv(cores.SETTING, "1")
    assert not cores.worth_splitting(convolutional(), mf.MSELoss())


def test_other_threads_compute_batches_whole():
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(cores.worth_splitting(convolutional(), mf.CrossEntropyLoss()))
    )
    thread.start()
    thread.join()
    assert answers == [False]


@pytest.mark.parametrize("setting", ["0", "two", "-1", "", "²", "①", "1.5"])
def test_an_unsuitable_number_of_cores_is_refused(monkeypatch, setting):
    monkeypatch.setenv(cores.SETTING, setting)
    with pytest.raises(ValueError, match="MINIFRAME_CORES: expected a number of cores, at least 1, got"):
        cores.cores()


def test_without_a_setting_all_cores_are_used(monkeypatch):
    monkeypatch.delenv(cores.SETTING)
    assert cores.cores() == machine.cores()


def test_a_layer_that_mixes_samples_put_in_during_training_ends_the_splitting():
    class Insert(mf.Callback):
        def on_batch_begin(self, batch, logs=None):
            if batch == 1:
                self.model.insert("0", mf.BatchNorm(4))

    results = []
    for compile in (True, False):
        model = convolutional()
        optimizer = mf.SGD(model, lr=0.05, momentum=0.9)
        options = {"loss": mf.CrossEntropyLoss(), "optimizer": optimizer, "batch_size": 50, "shuffle": False}
        model.fit(X, LABELS, epochs=2, callbacks=[Insert()], verbose=0, compile=compile, **options)
        results.append([np.array(cell.value) for cell in (*model.parameters(), *model.buffers())])
        assert isinstance(model._last_step, cores.StepInParts) is compile
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
