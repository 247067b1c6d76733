"""Embedding against three witnesses."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close

import miniframe as mf


@pytest.mark.parametrize("x", [np.array([[1, 2, 1], [0, 4, 1]]), np.array([3]), np.array([[[0]], [[2]]])])
def test_gradient_agrees_with_three_witnesses(x):
    layer = mf.Embedding(5, 3)
    reference = torch.nn.Embedding.from_pretrained(torch.tensor(np.array(layer.weight.value)), freeze=False)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights={"weight": (reference.weight, lambda a: a)})


def test_it_starts_a_model_that_trains():
    model = mf.Sequential(mf.Embedding(4, 3), mf.Flatten(), mf.Linear(6, 2))
    x, y = mx.array([[0, 1], [2, 3], [1, 0], [3, 2]]), mx.array([0, 1, 0, 1])
    optimizer = mf.SGD(model, lr=0.5)
    history = model.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=30, verbose=0, compile=False)
    assert history.history["loss"][-1] < 0.1


def test_it_runs_inside_a_compiled_step():
    x, y = mx.array([[0, 1], [1, 1]]), mx.array([0, 1])
    tables = []
    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.Embedding(4, 3), mf.Flatten(), mf.Linear(6, 2))
        before = model[0].weight.value
        model.fit(x, y, loss="cross_entropy", optimizer=mf.SGD(model, lr=0.5), epochs=2, verbose=0, compile=compile)
        assert not mx.array_equal(model[0].weight.value[:2], before[:2])
        assert mx.array_equal(model[0].weight.value[2:], before[2:]), "nobody asked for these"
        tables.append(model[0].weight.value)
    close(*tables, 1e-6)


def test_numbers_outside_the_table_are_refused():
    layer = mf.Embedding(5, 3)
    with pytest.raises(ValueError, match=r"Embedding\(5 -> 3\): expected numbers in 0..4, got 5 at \[1\]$"):
        layer(mx.array([1, 5]))
    with pytest.raises(ValueError, match="expected numbers in 0..4"):
        layer(mx.array([-1, 0]))


def test_real_numbers_and_unsuitable_sizes_are_refused():
    with pytest.raises(TypeError, match="expected integers"):
        mf.Embedding(5, 3)(mx.zeros((2, 2)))
    with pytest.raises(ValueError, match="Embedding: expected num_embeddings as a whole number of at least 1, got 0"):
        mf.Embedding(0, 3)


@pytest.mark.parametrize("x", [[1, 7], [1, -1], [1, 2**32 + 1], [1, 2**31 - 1]])
def test_where_numbers_cannot_be_seen_a_missing_row_is_nan_and_nothing_else_is_read_or_written(x):
    layer = mf.Embedding(5, 3)
    table = layer.weight.value

    def traced(value, x):
        layer.weight.value = value
        y = layer(x)
        layer.backward(mx.ones(y.shape))
        return y, layer.weight.grad

    y, grad = mx.compile(traced)(table, mx.array(np.array(x)))
    layer.weight.value = table
    assert mx.array_equal(y[0], table[1]) and np.isnan(np.array(y[1])).all()
    touched = 0 if x[1] < 0 else 4
    assert np.isnan(np.array(grad[touched])).all()
    assert grad[1].tolist() == [1, 1, 1] and grad[2].tolist() == [0, 0, 0]
    several = mx.vmap(layer)(mx.array(np.array([x, [1, 2]])))
    assert np.isnan(np.array(several[0, 1])).all() and mx.array_equal(several[1], table[1:3])


def test_numbers_of_few_bits_reach_the_last_of_their_rows():
    layer = mf.Embedding(300, 2)
    x = mx.array(np.array([250, 255], np.uint8))
    assert mx.array_equal(mx.compile(layer.forward)(x), layer.weight.value[mx.array([250, 255])])
