"""Errors that a backward raises name the layer, the parameter and the likely cause."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf


class Dense(mf.Module):
    """A linear layer with tanh, in the textbook way, with a place for one mistake."""

    def __init__(self, mistake="", inside=4):
        self.mistake = mistake
        self.weight = mf.Parameter(mx.array(normal(3, inside, seed=5).astype(np.float32)))
        self.bias = mf.Parameter(mx.array(normal(3, seed=6).astype(np.float32)))

    def forward(self, x):
        y = mx.tanh(x @ self.weight.value.T + self.bias.value)
        self.saved = x, y
        return y

    def backward(self, grad_output):
        x, y = self.saved
        mistake = self.mistake
        if mistake == "upstream ignored":
            grad_output = mx.ones_like(grad_output)
        if mistake == "upstream twice":
            grad_output = grad_output * grad_output
        grad = grad_output * (1 - y * y)
        if mistake == "sign":
            grad = -grad
        if mistake == "derivative forgotten":
            grad = grad_output
        if mistake == "mean over the batch":
            grad = grad / x.shape[0]
        weight_grad, bias_grad = grad.T @ x, grad.sum(axis=0)
        if mistake == "first sample only":
            bias_grad = grad[0]
        if mistake == "bias not summed":
            bias_grad = grad
        if mistake == "weight gradient transposed":
            weight_grad = weight_grad.T
        self.weight.accumulate(weight_grad)
        if mistake == "overwrites":
            self.bias.grad = bias_grad
        elif mistake != "bias forgotten":
            self.bias.accumulate(bias_grad)
        if mistake == "saved changed":
            self.saved = x, y * 0.5
        if mistake == "weight transposed":
            return grad @ self.weight.value.T
        return grad @ self.weight.value


class InPlace(mf.Tanh):
    def forward(self, x):
        x += 1
        return super().forward(x)


class InPlaceBackward(mf.Tanh):
    def backward(self, grad_output):
        y = self.saved
        grad_output *= 1 - y * y
        return grad_output


X = normal(5, 4)


@pytest.mark.parametrize(
    "mistake, words",
    [
        ("bias not summed", r"bias: expected a gradient of shape \(3,\), got \(5, 3\); the sum over the batch"),
        ("weight gradient transposed", r"weight: expected a gradient of shape \(3, 4\), got \(4, 3\); transposed"),
        ("weight transposed", r"matmul.*transposed"),
    ],
)
def test_a_gradient_of_the_wrong_shape_names_layer_and_parameter(mistake, words):
    with pytest.raises(ValueError, match=words):
        mf.check_gradients(Dense(mistake), X)
    with pytest.raises(
        ValueError, match=r"layer 1, Dense\(\), backward failed: .*" + words.replace("bias", r"1\.bias")
    ):
        mf.check_gradients(mf.Sequential(mf.Tanh(), Dense(mistake)), X)


def test_an_input_changed_in_place_is_an_error():
    with pytest.raises(ValueError, match="forward changes its input in place"):
        mf.check_gradients(InPlace(), X)


def test_an_upstream_gradient_changed_in_place_is_an_error():
    with pytest.raises(ValueError, match="backward changes the upstream gradient in place"):
        mf.check_gradients(InPlaceBackward(), X)


class Returning(mf.Tanh):
    """Tanh, whose right gradient is changed into something else before it is returned."""

    def __init__(self, change):
        self._change = change

    def backward(self, grad_output):
        return self._change(super().backward(grad_output))


@pytest.mark.parametrize(
    "change, words",
    [
        (np.array, "expected an mx.array from backward for input, got numpy.ndarray"),
        (lambda grad: (grad, grad), "expected 1 gradient from backward, got 2"),
        (lambda grad: [grad], "expected 1 gradient from backward, got a list of 1"),
        (lambda grad: grad.sum(axis=0), r"expected a gradient of shape \(5, 4\) for input, got \(4,\)"),
    ],
)
def test_what_cannot_be_a_gradient_is_named_with_its_layer(change, words):
    with pytest.raises(ValueError, match=r"check_gradients\(Returning\(\)\): " + words):
        mf.check_gradients(Returning(change), X)
    model = mf.Sequential(mf.Linear(4, 4), Returning(change), mf.Linear(4, 2))
    with pytest.raises(ValueError, match=r"check_gradients\(Sequential\(\)\): layer 1, Returning\(\): " + words):
        mf.check_gradients(model, X)


def test_a_forgotten_return_is_named_inside_a_sequential():
    model = mf.Sequential(mf.Linear(4, 4), Returning(lambda grad: None))
    with pytest.raises(TypeError, match=r"Returning\(\): expected an mx.array from backward, got None; a return"):
        mf.check_gradients(model, X)
