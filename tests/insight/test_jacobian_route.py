"""The product of all Jacobians is the gradient that backward finds, and costs more memory."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import BatchNorm, Conv2d, Dropout, Flatten, Linear, MSELoss, ReLU, Sequential, Tanh


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


MIXED = Sequential(Sequential(Linear(4, 6), BatchNorm(6)), Dropout(0.5), Linear(6, 3))
MODELS = {
    "dense": (Sequential(Linear(10, 20), Tanh(), Linear(20, 20), ReLU(), Linear(20, 3)), (8, 10)),
    "convolutional": (Sequential(Conv2d(2, 3, 3), ReLU(), Flatten(), Linear(48, 3)), (2, 6, 6, 2)),
    "nested, with statistics and masks": (MIXED, (5, 4)),
    "a single layer": (Linear(4, 3), (5, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_both_routes_find_the_same_gradient(name):
    model, shape = MODELS[name]
    route = mf.jacobian_route(model, MSELoss(), array(*shape), array(shape[0], 3, seed=1))
    assert route.error < 1e-6
    close(route.gradient, route.by_backward)
    assert np.abs(np.array(route.by_backward)).max() > 0


def test_the_memory_of_both_routes_is_reported():
    model, shape = MODELS["dense"]
    route = mf.jacobian_route(model, MSELoss(), array(*shape), array(8, 3, seed=1))
    shapes = [shape for _, _, shape in route.layers]
    assert shapes == [(160, 80), (160, 160), (160, 160), (160, 160), (24, 160)]
    assert route.jacobian_bytes == 4 * (sum(a * b for a, b in shapes) + 24 * 80)
    assert route.backward_bytes == 4 * (80 + 4 * 160 + 24)
    assert route.jacobian_peak > 10 * route.backward_peak > 0
    text = repr(route)
    assert "2: Linear(20 -> 20)" in text and f"{route.jacobian_bytes:,} bytes" in text


def test_the_model_is_left_as_it_was():
    model = MIXED
    before = [(c, c.value) for c in (*model.parameters(), *model.buffers())], mf.random.get_state()
    mf.jacobian_route(model, MSELoss(), array(5, 4), array(5, 3))
    assert all(cell.value is value for cell, value in before[0])
    assert mf.random.get_state() == before[1]
    assert all(p.grad is None for p in model.parameters())


def test_a_model_that_is_no_chain_is_refused():
    x = mf.Input((3,))
    graph = mf.Graph(x, Tanh()(x) + x)
    with pytest.raises(ValueError, match="expected a chain of layers, but 'add' reads more or something else"):
        mf.jacobian_route(graph, MSELoss(), array(2, 3), array(2, 3))
