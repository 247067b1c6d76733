"""Nothing out of range passes: ids, labels, indices and numbers that do not fit are named, or become NaN, never 0."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

IDS = np.array([[0, 1], [2, 3], [4, 0], [1, 1]])
LABELS = np.array([0, 1, 0, 1])


def reader():
    return mf.Sequential(mf.Embedding(5, 3), mf.Flatten(), mf.Linear(6, 2))


def weights(model):
    return [np.array(p.value) for p in model.parameters()]


def fit(model, *data, **options):
    optimizer = mf.SGD(model, lr=0.1)
    settings = {"loss": "cross_entropy", "optimizer": optimizer, "verbose": 0, "batch_size": 2, "seed": 0, **options}
    return model.fit(*data, **settings)


def with_one(array, value):
    changed = array.copy()
    changed.reshape(-1)[-1] = value
    return changed


@pytest.mark.parametrize("bad", [5, -1, 10**6, -(10**6)])
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("place", ["training", "validation", "stream"])
def test_an_id_outside_the_table_is_named_and_nothing_is_learned_from_it(bad, compile, place):
    model, ids = reader(), with_one(IDS, bad)
    before = weights(model)
    data, options = (IDS, LABELS), {"compile": compile, "shuffle": False}
    if place == "training":
        data = (ids, LABELS)
    elif place == "validation":
        options["validation_data"] = (ids, LABELS)
    else:
        data = (lambda: iter([(ids, LABELS)]),)
    with pytest.raises((ValueError, mf.NonFiniteError), match=r"Embedding\(5 -> 3\): expected numbers in 0..4, got"):
        fit(model, *data, **options)
    for a, b in zip(before, weights(model)):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("bad", [5, -1])
def test_predict_and_evaluate_name_such_an_id(bad):
    model, ids = reader(), with_one(IDS, bad)
    with pytest.raises(ValueError, match="expected numbers in 0..4"):
        model.predict(ids)
    with pytest.raises(ValueError, match="expected numbers in 0..4"):
        model.evaluate(ids, LABELS, loss="cross_entropy")


@pytest.mark.parametrize("bad", [5, -1, 2**31 - 1, -(2**31)])
def test_where_an_id_cannot_be_seen_its_row_becomes_nan_and_the_others_stay(bad):
    layer = mf.Embedding(5, 3)
    ids = mx.array([1, bad, 4])
    rows = np.array(mx.compile(layer.forward)(ids))
    assert np.isnan(rows[1]).all()
    assert np.array_equal(rows[[0, 2]], np.array(layer.weight.value)[[1, 4]])


@pytest.mark.parametrize("bad", [2, -1, 2**31 - 1])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", [mf.CrossEntropyLoss, mf.NLLLoss])
def test_a_label_that_is_no_class_costs_nan_by_hand_and_never_nothing(kind, reduction, bad):
    loss = kind(reduction=reduction)
    prediction = mx.array([[0.1, 0.9], [0.4, 0.6]])
    assert np.isnan(loss(prediction, mx.array([0, bad])).item())
    gradient = np.array(loss.backward())
    assert np.isfinite(gradient[0]).all() and np.isnan(gradient[1]).all()


@pytest.mark.parametrize("bad", [2, -1])
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("place", ["training", "validation", "stream", "validation stream"])
def test_a_label_that_is_no_class_is_named(bad, compile, place):
    model, labels = reader(), with_one(LABELS, bad)
    data, options = (IDS, LABELS), {"compile": compile}
    if place == "training":
        data = (IDS, labels)
    elif place == "validation":
        options["validation_data"] = (IDS, labels)
    elif place == "stream":
        data = (lambda: iter([(IDS, labels)]),)
    else:
        options["validation_data"] = [(IDS, labels)]
    with pytest.raises((ValueError, mf.NonFiniteError), match=r"expected class labels in 0..1, got"):
        fit(model, *data, **options)


def test_evaluate_names_such_a_label_in_arrays_and_streams():
    model, labels = reader(), with_one(LABELS, 7)
    with pytest.raises(ValueError, match="expected class labels in 0..1, got 0..7"):
        model.evaluate(IDS, labels, loss="cross_entropy")
    with pytest.raises(ValueError, match="expected class labels in 0..1, got 0..7"):
        model.evaluate([(IDS, labels)], loss="cross_entropy")


@pytest.mark.parametrize(
    "index, words",
    [
        (5, r"expected indices in 0..3 along axis 0, got 5"),
        (-5, r"got -5"),
        (mx.array([0, 5]), r"got 5"),
        ([1, -9], r"got -9"),
        ((slice(None), 0), r"expected an input of at least 2 axes, got \(4,\)"),
        (slice(None, None, 0), r"expected a slice whose step is not 0"),
    ],
    ids=str,
)
def test_an_index_that_leads_nowhere_is_refused(index, words):
    with pytest.raises(ValueError, match=words):
        mf.Variable(mx.arange(4.0))[index]


def test_indices_within_the_array_are_those_of_numpy():
    numbers = np.arange(24.0).reshape(2, 3, 4)
    node = mf.Variable(mx.array(numbers.astype(np.float32)))
    for index in (0, -1, slice(None, None, -1), (Ellipsis, 3), (1, slice(0, 2)), (None, 1), (slice(None), [0, 2])):
        assert np.array_equal(np.array(node[index].value), numbers[index])


@pytest.mark.parametrize("number", [3_000_000_000, -(2**31) - 1, 2**32 + 1, np.uint64(2**63), np.uint32(2**31)])
def test_whole_numbers_that_would_wrap_are_refused(number):
    with pytest.raises(ValueError, match=r"expected numbers that fit into 32 bits, got .*\d at \(1,\)"):
        mf.as_array(np.array([1, number], dtype=getattr(number, "dtype", np.int64)))


def test_real_numbers_that_would_become_infinite_are_refused_and_infinities_stay():
    with pytest.raises(ValueError, match=r"expected numbers that fit into 32 bits, got 1e\+300 at \(0, 1\)"):
        mf.as_array([[0.0, 1e300]])
    assert mf.as_array([np.inf, -np.inf]).tolist() == [np.inf, -np.inf]
    assert mf.as_array([2**31 - 1, -(2**31)]).tolist() == [2**31 - 1, -(2**31)]
