"""Classical mistakes in a backward, planted one by one: each must be detected, and the report must say which it is."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe.checking.blame import NO_PATTERN


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


class Mask(mf.Dropout):
    def __init__(self, mistake=""):
        super().__init__(0.4)
        self.mistake = mistake

    def backward(self, grad_output):
        if self.mistake == "ignored":
            return grad_output
        if self.mistake == "unscaled":
            return grad_output * (self.saved > 0)
        mask = mx.random.bernoulli(0.6, grad_output.shape) / 0.6
        return grad_output * mask


class OpenReLU(mf.ReLU):
    def backward(self, grad_output):
        return grad_output


class InvertedReLU(mf.ReLU):
    def backward(self, grad_output):
        return grad_output * (self.saved <= 0)


class EdgeReLU(mf.ReLU):
    def backward(self, grad_output):
        return grad_output * mx.where(self.saved > 0, 1.0, mx.where(self._x == 0, -3.0, 0.0))

    def forward(self, x):
        self._x = x
        return super().forward(x)


class DiagonalSoftmax(mf.Softmax):
    def backward(self, grad_output):
        y = self.saved
        return grad_output * y * (1 - y)


class OutputSoftplus(mf.Softplus):
    def backward(self, grad_output):
        return grad_output * mx.sigmoid(mx.logaddexp(self.saved, 0))


class Skip(mf.Module):
    """x + tanh x, whose backward forgets the path that skips the tanh."""

    def forward(self, x):
        self.saved = mx.tanh(x)
        return x + self.saved

    def backward(self, grad_output):
        return grad_output * (1 - self.saved * self.saved)


class OneSlope(mf.LeakyReLU):
    def backward(self, grad_output):
        return grad_output * mx.where(self.saved > 0, 1.0, 0.5 * self.slope)


class FlippedConvolution(mf.Conv2d):
    def backward(self, grad_output):
        grad_input = super().backward(grad_output)
        self.weight.grad = self.weight.grad[:, ::-1, ::-1]
        return grad_input


class FrozenStatistics(mf.LayerNorm):
    """Takes mean and variance for constants."""

    def forward(self, x):
        self._spread = mx.sqrt(x.var(axis=-1, keepdims=True) + self.eps)
        return super().forward(x)

    def backward(self, grad_output):
        super().backward(grad_output)
        return grad_output * self.weight.value / self._spread


class UnsafeSquare(mf.Module):
    """x², whose backward divides by zero where forward does not."""

    def forward(self, x):
        self.saved = x
        return mx.square(x)

    def backward(self, grad_output):
        x = self.saved
        return grad_output * 2 * x * x / x


class SumLoss(mf.MSELoss):
    def gradient(self):
        prediction, target, _, _ = self.saved
        return 2 * (prediction - target)


class HalfLoss(mf.MSELoss):
    def derivative(self, prediction, target):
        return prediction - target


X = normal(5, 4)
SQUARE = normal(5, 3)


# name: (module, inputs, what the report must say)
PLANTED = {
    "sign": (Dense("sign"), [X], "sign"),
    "upstream gradient ignored": (Dense("upstream ignored"), [X], "upstream gradient ignored"),
    "upstream gradient twice": (Dense("upstream twice"), [X], "enters twice"),
    "mean over the batch in a layer": (
        Dense("mean over the batch"),
        [X],
        "5 times too small, which is the batch size: a layer sums",
    ),
    "first sample only": (Dense("first sample only"), [X], "bias: missing sum over the batch"),
    "bias forgotten": (Dense("bias forgotten"), [X], "bias: forgotten"),
    "gradient overwritten": (Dense("overwrites"), [X], "bias: backward overwrites"),
    "saved changed": (Dense("saved changed"), [X], "changes what forward saved"),
    "weight gradient transposed": (Dense("weight gradient transposed", 3), [SQUARE], "weight: transposed"),
    "weight transposed": (Dense("weight transposed", 3), [SQUARE], "input: transposed"),
    "mask drawn anew": (Mask("drawn anew"), [X], "mask not reused: backward draws random numbers"),
    "mask ignored": (Mask("ignored"), [X], "mask not reused"),
    "mask without its scale": (Mask("unscaled"), [X], "1 - p"),
    "ReLU's mask ignored": (OpenReLU(), [X], "mask not reused"),
    "ReLU's mask inverted": (InvertedReLU(), [X], "mask inverted"),
    "kink": (EdgeReLU(), [np.array([[0.0, 1.0, -1.0]])], "kink"),
    "softmax without cross terms": (DiagonalSoftmax(), [X], "cross terms missing"),
    "derivative at the output": (OutputSoftplus(), [X], "at the output instead of the input"),
    "one branch forgotten": (OneSlope(0.3), [X], "all elements with a negative input"),
    "flipped kernel": (FlippedConvolution(2, 2, 2, bias=False), [normal(2, 3, 3, 2)], "weight: the right numbers in"),
    "statistics taken for constants": (FrozenStatistics(4), [X], "cross terms missing"),
    "division by zero": (UnsafeSquare(), [np.array([[0.0, 1.0]])], "not a number: backward gives NaN"),
    "forward undefined": (mf.layers.arithmetic.Log(), [np.array([[-1.0, 1.0]])], "not a number: forward itself"),
    "skip path forgotten": (Skip(), [X], "1 times the upstream gradient is missing"),
    "loss without its mean": (SumLoss(), [X, X + 1], "20 times too large, which is the number of elements"),
    "loss without the factor 2": (HalfLoss(), [X, X + 1], "2 times too small, which is 2: the factor of a square"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_detected_and_diagnosed(name):
    module, inputs, words = PLANTED[name]
    report = mf.check_gradients(module, *inputs)
    assert not report.passed
    assert words in report.diagnosis, report
    assert words.split(": ")[-1] in repr(report)


def test_a_number_with_several_meanings_is_given_all_of_them():
    report = mf.check_gradients(Dense("mean over the batch"), X[:2])
    assert "2 times too small, which is the batch size: a layer sums" in report.diagnosis
    assert "or 2: the factor of a square is missing" in report.diagnosis


def test_derivative_forgotten_is_detected_even_without_a_pattern():
    report = mf.check_gradients(Dense("derivative forgotten"), X)
    assert not report.passed and NO_PATTERN in report.diagnosis
