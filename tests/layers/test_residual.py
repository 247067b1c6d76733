"""Residual connections: gradients along both ways."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, normal

import miniframe as mf


class TorchResidual(torch.nn.Module):
    def __init__(self, block, shortcut):
        super().__init__()
        self.block, self.shortcut = block, shortcut

    def forward(self, x):
        return self.block(x) + self.shortcut(x)


def residual():
    return mf.Residual(mf.Sequential(mf.Linear(3, 5), mf.Tanh(), mf.Linear(5, 2)), mf.Linear(3, 2, bias=False))


def test_gradient_agrees_with_three_witnesses():
    layer, x = residual(), normal(4, 3)
    reference = TorchResidual(
        torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)),
        torch.nn.Linear(3, 2, bias=False),
    )
    tensors = dict(reference.named_parameters())
    for path, parameter in layer.named_parameters():
        tensors[path].data = torch.tensor(np.array(parameter.value))
    assert set(tensors) == {path for path, _ in layer.named_parameters()}
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights={path: (tensor, lambda a: a) for path, tensor in tensors.items()})


def test_without_a_shortcut_the_gradient_also_passes_straight_through():
    layer = mf.Residual(mf.Linear(3, 3))
    by_differences(layer, normal(1, 3))
    layer.block.weight.value = mx.zeros((3, 3))
    layer(mx.ones((1, 3)))
    assert layer.backward(mx.array([[1.0, 2.0, 3.0]])).tolist() == [[1, 2, 3]]


def test_inside_a_model_it_is_part_of_the_graph_and_can_be_shared():
    block = mf.Residual(mf.Linear(3, 3))
    model = mf.Sequential(block, mf.Tanh(), block)
    by_differences(model, normal(2, 3))
    names = [row.name for row in model.summary((3,)).rows]
    assert names == ["0.block", "0.add", "1", "0.block#2", "0.add_2"]


def test_it_also_runs_where_nothing_is_recorded():
    layer, x = residual(), mx.ones((2, 3))
    y = layer(x)
    with mf.no_grad():
        assert mx.array_equal(layer(x), y)


def test_shapes_that_do_not_match_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"to return the shape \(1, 3\) of .*, got \(1, 2\); give a shortcut"):
        mf.Residual(mf.Linear(3, 2))(mx.zeros((1, 3)))
