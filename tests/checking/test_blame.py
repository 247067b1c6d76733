"""In a whole model, the layer to blame is named, and no other."""

import mlx.core as mx
import numpy as np
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


class SumLoss(mf.MSELoss):
    def gradient(self):
        prediction, target, _, _ = self.saved
        return 2 * (prediction - target)


X = normal(5, 4)


def test_in_a_whole_model_the_layer_to_blame_is_named():
    model = mf.Sequential(mf.Linear(4, 4), mf.Sequential(mf.Tanh(), Dense("bias forgotten")), mf.Linear(3, 2))
    report = mf.check_gradients(model, X, loss=mf.MSELoss(), target=normal(5, 2, seed=1))
    assert not report.passed
    assert [path for path, _ in report.culprits] == ["1.1"]
    assert report.diagnosis.startswith("1.1.bias: forgotten")
    assert "to blame, wrong by itself: layer 1.1, Dense()" in repr(report)


def test_a_wrong_loss_is_to_blame_not_the_model():
    report = mf.check_gradients(mf.Sequential(mf.Linear(4, 2)), X, loss=SumLoss(), target=normal(5, 2, seed=1))
    assert [path for path, _ in report.culprits] == ["loss"]


def test_right_layers_with_a_wrong_connection_are_told_apart():
    class Forgetful(mf.Sequential):
        def backward(self, grad_output):
            return super().backward(grad_output) * 0.5

    report = mf.check_gradients(Forgetful(mf.Linear(4, 3), mf.Tanh()), X)
    assert not report.passed and report.culprits == []
    assert "every layer is right by itself" in report.diagnosis
    assert "input: constant ratio: 2 times too small" in report.diagnosis


def test_a_right_module_has_no_diagnosis():
    report = mf.check_gradients(mf.Sequential(Dense(), mf.Softmax()), X)
    assert report.passed and report.diagnosis == "" and report.culprits == []


class Keeps(mf.Module):
    """x², whose backward looks at an attribute that a second call replaces."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, grad_output):
        return 2 * self.x * grad_output


def test_a_layer_that_keeps_its_input_outside_saved_is_named_when_it_is_used_twice():
    twice = Keeps()
    report = mf.check_gradients(mf.Sequential(mf.Linear(4, 4), twice, mf.Linear(4, 4), twice), X)
    assert not report.passed and report.culprits == []
    assert "layer 1, Keeps(), keeps its input outside `saved`" in report.diagnosis
    assert "every layer is right" not in report.diagnosis
    assert mf.check_gradients(mf.Sequential(mf.Linear(4, 4), Keeps()), X).passed


def test_a_backward_that_changes_a_weight_is_told_from_one_that_changes_what_was_saved():
    class InPlace(mf.Linear):
        def backward(self, grad_output):
            grad = super().backward(grad_output)
            weight = self.weight.value
            weight -= 0.1 * weight
            return grad

    report = mf.check_gradients(InPlace(4, 3), X)
    assert not report["weight"].passed and report["bias"].passed and report["input"].passed
    assert "weight: backward changes the value of this parameter" in report.diagnosis
