"""RMSNorm against three witnesses."""

import mlx.core as mx
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (1, 5), (2, 3, 7), (1, 1, 3), (2, 1, 3, 4)], ids=str)
def test_gradient_agrees_with_three_witnesses(shape, affine, training):
    layer = mf.RMSNorm(shape[-1], eps=0.01, affine=affine).train(training)
    reference = torch.nn.RMSNorm(shape[-1], eps=0.01, elementwise_affine=affine)
    weights = {}
    if affine:
        scale = 1 + 0.5 * normal(shape[-1], seed=3)
        layer.weight.value, reference.weight.data = mx.array(scale).astype(mx.float32), torch.tensor(scale).float()
        weights = {"weight": (reference.weight, lambda a: a)}
    x = 1 + 2 * normal(*shape, seed=7)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights=weights)


def test_the_size_of_the_input_does_not_matter():
    x = mx.array(normal(3, 6)).astype(mx.float32)
    close(mf.RMSNorm(6, eps=0)(1000 * x), mf.RMSNorm(6, eps=0)(x))


def test_zeros_stay_zeros():
    layer = mf.RMSNorm(4)
    assert layer(mx.zeros((2, 4))).tolist() == [[0.0] * 4] * 2
    close(layer.backward(mx.ones((2, 4))), mx.ones((2, 4)) / layer.eps**0.5)


def test_a_layer_used_twice_gets_both_gradients():
    layer = mf.RMSNorm(4)
    by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(3, 4))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(4, 8, 6)).astype(mx.float32).transpose(2, 1, 0)[::2, ::-1]
    copy, layer = mx.contiguous(view), mf.RMSNorm(4)
    close(layer(view), layer(copy))
    close(layer.backward(view), layer.backward(copy))


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.RMSNorm(3, affine=False).title() == "RMSNorm(3, not affine)"
    with pytest.raises(ValueError, match=r"RMSNorm: expected num_features >= 1 and eps >= 0, got 0, eps=1e-05"):
        mf.RMSNorm(0)
    with pytest.raises(ValueError, match=r"RMSNorm\(3\): expected input \(batch, ..., 3\), got \(2, 4\)"):
        mf.RMSNorm(3)(mx.zeros((2, 4)))
    with pytest.raises(TypeError, match="expected real numbers"):
        mf.RMSNorm(3)(mx.zeros((2, 3), dtype=mx.int32))
