"""The gate and the gated perceptron against three witnesses."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (2, 3, 4)], ids=str)
def test_the_gate_agrees_with_three_witnesses(shape, training):
    layer, inputs = mf.SwiGLU().train(training), [normal(*shape, seed=3), normal(*shape, seed=4)]
    by_differences(layer, *inputs)
    by_mx_grad(layer, *inputs)
    by_torch(layer, lambda gate, x: torch.nn.functional.silu(gate) * x, *inputs)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (2, 3, 3)], ids=str)
def test_the_perceptron_agrees_with_three_witnesses(shape, bias, training):
    layer, x = mf.GatedMLP(shape[-1], 7, bias=bias).train(training), normal(*shape)
    tensors = {name: torch.tensor(np.array(p.value), requires_grad=True) for name, p in layer.named_parameters()}
    assert len(tensors) == (6 if bias else 3)

    def linear(name, x):
        return torch.nn.functional.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))

    def reference(x):
        return linear("down", torch.nn.functional.silu(linear("gate", x)) * linear("up", x))

    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights={name: (tensor, lambda a: a) for name, tensor in tensors.items()})


def test_it_can_be_shared():
    layer = mf.GatedMLP(3, 4)
    by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(2, 3))


def test_strided_inputs_give_the_same_as_contiguous_ones():
    views = [mx.array(normal(4, 6, seed=seed)).astype(mx.float32).T[::2, ::-1] for seed in (0, 1)]
    layer, copies = mf.SwiGLU(), [mx.contiguous(view) for view in views]
    close(layer(*views), layer(*copies), 1e-6)
    for a, b in zip(layer.backward(views[0]), layer.backward(copies[0])):
        close(a, b, 1e-6)


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.GatedMLP(3, 8).title() == "GatedMLP(3 -> 8 -> 3)"
    with pytest.raises(ValueError, match="GatedMLP: expected positive sizes, got 3 and 0"):
        mf.GatedMLP(3, 0)
    with pytest.raises(ValueError, match=r"SwiGLU\(\): expected a gate of the shape .*, got \(\(2, 3\), \(2, 4\)\)"):
        mf.SwiGLU()(mx.zeros((2, 3)), mx.zeros((2, 4)))
