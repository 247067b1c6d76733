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
