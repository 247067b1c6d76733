"""ReLU6, Hardsigmoid and Hardswish against three witnesses, also where their pieces meet."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf

LAYERS = {"ReLU6": (mf.ReLU6, F.relu6), "Hardsigmoid": (mf.Hardsigmoid, F.hardsigmoid),
          "Hardswish": (mf.Hardswish, F.hardswish)}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [(7, 5), (1, 9), (2, 3, 4, 5)], ids=str)
def test_gradient_agrees_with_three_witnesses(name, shape):
    layer, reference = LAYERS[name][0](), LAYERS[name][1]
    x = normal(*shape, scale=4)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x)


@pytest.mark.parametrize("name", LAYERS)
def test_where_pieces_meet_the_gradient_is_pytorchs(name):
    layer, reference = LAYERS[name][0](), LAYERS[name][1]
    x = np.array([-3.0, 0.0, 3.0, 6.0], np.float32)
    tensor = torch.tensor(x, requires_grad=True)
    reference(tensor).sum().backward()
    close(layer(mx.array(x)), reference(tensor))
    assert layer.backward(mx.ones((4,))).tolist() == tensor.grad.tolist()


@pytest.mark.parametrize("name", LAYERS)
def test_extreme_inputs_stay_finite(name):
    layer = LAYERS[name][0]()
    assert mx.isfinite(layer(mx.array([-1e30, 1e30]))).all() and mx.isfinite(layer.backward(mx.ones((2,)))).all()


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_used_twice_gets_the_right_gradient(name):
    layer = LAYERS[name][0]()
    by_differences(mf.Sequential(layer, mf.Linear(5, 5), layer), normal(3, 5, seed=2))
