"""Weights alone in files."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal
from registered import Block

import miniframe as mf


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def small():
    return mf.Sequential({"first": mf.Linear(3, 4), "bend": mf.LeakyReLU(0.3), "last": mf.Linear(4, 2, bias=False)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_weights_return_to_a_model_of_the_same_layout(path):
    model, other, x = small(), small(), array(5, 3)
    model.save_weights(path)
    cell = other["first"].weight
    report = other.load_weights(path)
    assert report.complete and report.loaded == ["first.weight", "first.bias", "last.weight"]
    assert mx.array_equal(other(x), model(x)) and other["first"].weight is cell


def test_weights_can_come_from_a_whole_model(path):
    model = mf.Sequential(Block(3))
    model.save(path)
    other = mf.Sequential(Block(3))
    assert other.load_weights(path).complete
    assert mx.array_equal(other[0].dense.weight.value, model[0].dense.weight.value)


def test_weights_that_do_not_fit_are_all_listed_and_nothing_changes(path):
    mf.Sequential({"first": mf.Linear(3, 5), "last": mf.Linear(4, 2)}).save_weights(path)
    model = mf.Sequential({"first": mf.Linear(3, 4), "last": mf.Linear(4, 2, bias=False), "more": mf.Linear(2, 1)})
    before = [np.array(p.value) for p in model.parameters()]
    with pytest.raises(ValueError) as error:
        model.load_weights(path)
    assert "1 loaded" in str(error.value)
    assert "missing in the file: more.weight, more.bias" in str(error.value)
    assert "unexpected in the file: last.bias" in str(error.value)
    assert "mismatched: first.weight expects (4, 3) float32, the file holds (5, 3) float32" in str(error.value)
    assert all(np.array_equal(p.value, b) for p, b in zip(model.parameters(), before))


def test_partial_loading_takes_what_fits_and_reports_the_rest(path):
    source = mf.Sequential({"first": mf.Linear(3, 5), "last": mf.Linear(4, 2)})
    source.save_weights(path)
    model = mf.Sequential({"first": mf.Linear(3, 4), "last": mf.Linear(4, 2, bias=False)})
    report = model.load_weights(path, strict=False)
    assert report.loaded == ["last.weight"] and report.unexpected == ["last.bias"] and report.missing == []
    assert [name for name, _, _ in report.mismatched] == ["first.weight", "first.bias"]
    assert mx.array_equal(model["last"].weight.value, source["last"].weight.value)


def test_weights_take_the_precision_of_the_model(path):
    mx.save_safetensors(str(path), {"weight": mx.ones((2, 3), dtype=mx.bfloat16), "bias": mx.zeros((2,))})
    layer = mf.Linear(3, 2)
    layer.load_weights(path)
    assert layer.weight.value.dtype == mx.float32


def test_loading_a_model_from_weights_alone_says_so(path):
    small().save_weights(path)
    with pytest.raises(ValueError, match="only weights: build the model and use load_weights"):
        mf.load(path)
    mx.save_safetensors(str(path), {"a": mx.ones(1)})
    with pytest.raises(ValueError, match="holds no miniframe model"):
        mf.load(path)


def test_a_state_dict_carries_the_values_to_another_model():
    first, second = (mf.Sequential(mf.Linear(2, 3), mf.BatchNorm(3)) for _ in range(2))
    first(mx.random.normal((8, 2)))
    state = first.state_dict()
    assert list(state) == [n for n, _ in first.named_parameters()] + [n for n, _ in first.named_buffers()]
    report = second.load_state_dict({name: np.array(value) for name, value in state.items()})
    assert report.complete and len(report.loaded) == len(state)
    assert all(mx.array_equal(value, second.state_dict()[name]) for name, value in state.items())
    state["0.weight"] = mx.zeros((3, 2))
    assert not mx.array_equal(first[0].weight.value, state["0.weight"])


def test_a_state_dict_that_does_not_fit_changes_nothing():
    model = mf.Linear(2, 3)
    before = model.weight.value
    with pytest.raises(ValueError, match=r"load_state_dict: the weights do not fit the model.*\n.*\nmissing.*bias"):
        model.load_state_dict({"weight": mx.zeros((3, 2))})
    assert model.weight.value is before
    assert model.load_state_dict({"weight": mx.zeros((3, 2))}, strict=False).missing == ["bias"]
    assert not model.weight.value.any().item()
    with pytest.raises(TypeError, match="expected a dict from names to arrays, got list"):
        model.load_state_dict([1])


def test_parameters_are_counted_once_and_frozen_ones_apart():
    shared = mf.Linear(3, 3)
    model = mf.Sequential(shared, shared, mf.Linear(3, 2))
    model[2].freeze()
    assert (model.count_params(), model.count_params(trainable=True)) == (20, 12)
