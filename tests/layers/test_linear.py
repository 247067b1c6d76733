"""The fully connected layer."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def torch_twin(layer):
    twin = torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    twin.weight.data = torch.tensor(np.array(layer.weight.value))
    if layer.bias is not None:
        twin.bias.data = torch.tensor(np.array(layer.bias.value))
    return twin


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (1, 3), (2, 4, 3)])
def test_gradients_agree_with_three_witnesses(bias, shape):
    layer = mf.Linear(3, 7, bias=bias)
    twin = torch_twin(layer)
    weights = {"weight": (twin.weight, lambda a: a)} | ({"bias": (twin.bias, lambda a: a)} if bias else {})
    by_differences(layer, normal(*shape))
    by_mx_grad(layer, normal(*shape))
    by_torch(layer, twin, normal(*shape), weights=weights)


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_any_sizes_pass_the_gradient_check(batch, inputs, outputs, bias):
    report = mf.check_gradients(mf.Linear(inputs, outputs, bias=bias), normal(batch, inputs))
    assert report.passed, report
    assert len(report.rows) == 2 + bias


def test_starts_from_the_same_distribution_as_pytorch():
    layer, twin = mf.Linear(100, 400), torch.nn.Linear(100, 400)
    for ours, theirs in ((layer.weight, twin.weight), (layer.bias, twin.bias)):
        values, expected = np.array(ours.value), theirs.detach().numpy()
        assert values.shape == expected.shape
        assert np.abs(values).max() <= 0.1 and np.abs(values).max() > 0.099
        assert abs(values.std() - expected.std()) < 0.004


def test_gradients_accumulate_over_backwards_until_zero_grad():
    layer = mf.Linear(2, 2)
    x, dy = mx.array([[1.0, 2.0]]), mx.array([[1.0, -1.0]])
    layer(x)
    layer.backward(dy)
    once = layer.weight.grad
    layer(x)
    layer.backward(dy)
    close(layer.weight.grad, 2 * once)
    layer.zero_grad()
    assert layer.weight.grad is None and layer.bias.grad is None


def test_a_strided_input_is_handled():
    layer = mf.Linear(4, 2)
    x = mx.array(normal(4, 6).astype(np.float32))
    y = layer(x.T[::2])
    close(y, np.array(x).T[::2] @ np.array(layer.weight.value).T + np.array(layer.bias.value))
    layer.backward(mx.ones_like(y))
    close(layer.weight.grad, np.ones((2, 3)) @ np.array(x).T[::2])


@pytest.mark.parametrize(
    "x, message",
    [
        (mx.zeros((100, 3)), r"Linear\(2 -> 25\): expected input \(batch, 2\), got \(100, 3\)"),
        (mx.zeros((5, 3, 3)), r"got \(5, 3, 3\); insert Flatten\(\) before it"),
        (mx.zeros((2,)), r"got \(2,\); a single sample needs a batch axis"),
    ],
)
def test_a_wrong_shape_is_explained(x, message):
    with pytest.raises(ValueError, match=message):
        mf.Linear(2, 25)(x)


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"Linear\(2 -> 3\): expected real numbers.*astype"):
        mf.Linear(2, 3)(mx.array([[1, 2]]))


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="in_features as a whole number of at least 1, got 0"):
        mf.Linear(0, 3)
