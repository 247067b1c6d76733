"""InstanceNorm against three witnesses, and against GroupNorm with a group for each channel."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def with_random_parameters(layer):
    for seed, parameter in enumerate(layer.parameters()):
        parameter.value = mx.array(1 + 0.5 * normal(*parameter.shape, seed=seed)).astype(mx.float32)
    return layer


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (1, 5, 3, 1), (3, 1, 4, 2)], ids=str)
def test_gradient_agrees_with_three_witnesses(shape, affine, training):
    layer = with_random_parameters(mf.InstanceNorm(shape[-1], eps=0.01, affine=affine)).train(training)
    reference = torch.nn.InstanceNorm2d(shape[-1], eps=0.01, affine=affine)
    for name, parameter in layer.named_parameters():
        getattr(reference, name).data = torch.tensor(np.array(parameter.value))
    x = 3 + 2 * normal(*shape, seed=7)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(
        layer,
        reference,
        x,
        weights={name: (getattr(reference, name), lambda a: a) for name, _ in layer.named_parameters()},
        layout=lambda a: np.moveaxis(a, -1, 1).copy(),
        back=lambda a: np.moveaxis(a, 1, -1),
    )


def test_sequences_are_normalized_along_their_length():
    layer, x = mf.InstanceNorm(3), normal(2, 5, 3)
    by_differences(layer, x)
    expected = torch.nn.InstanceNorm1d(3)(torch.tensor(np.moveaxis(x, 2, 1)))
    close(layer(mx.array(x.astype(np.float32))), np.moveaxis(expected.numpy(), 1, 2))


def test_it_is_group_norm_with_a_group_for_each_channel():
    layer, other = mf.InstanceNorm(4, affine=True), mf.GroupNorm(4, 4)
    x, grad = (mx.array(normal(2, 3, 5, 4, seed=seed)).astype(mx.float32) for seed in (0, 1))
    close(layer(x), other(x))
    close(layer.backward(grad), other.backward(grad))


def test_a_layer_used_twice_gets_both_gradients():
    layer = with_random_parameters(mf.InstanceNorm(2, affine=True))
    by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(1, 3, 3, 2))


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.InstanceNorm(3).title() == "InstanceNorm(3, not affine)"
    with pytest.raises(ValueError, match=r"InstanceNorm: expected num_features >= 1"):
        mf.InstanceNorm(0)
    with pytest.raises(ValueError, match="channels come last"):
        mf.InstanceNorm(3)(mx.zeros((2, 3, 5, 5)))
    with pytest.raises(ValueError, match=r"expected more than one pixel in each channel, got \(2, 1, 1, 3\)"):
        mf.InstanceNorm(3)(mx.zeros((2, 1, 1, 3)))
    with pytest.raises(TypeError, match="expected real numbers"):
        mf.InstanceNorm(3)(mx.zeros((2, 4, 4, 3), dtype=mx.int32))
