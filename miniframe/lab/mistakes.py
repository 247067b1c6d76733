"""The mistakes themselves: layers, losses and an optimizer, each with one thing wrong in its backward or its step."""

from __future__ import annotations

import mlx.core as mx

from ..layers import BatchNorm, Dropout, LayerNorm, Linear, ReLU, Softmax, Tanh
from ..layers.normalization import affine_backward
from ..losses import CrossEntropyLoss
from ..optimizers import SGD, Adam

# ---------------------------------------------------------------- layers


class Transposed(Linear):
    """dW = Xᵀ dY: the transpose of the right one, which only a square layer lets pass."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        self.weight.accumulate(x.T @ grad_output)
        if self.bias is not None:
            self.bias.accumulate(grad_output.sum(axis=0))
        return grad_output @ self.weight.value


class Forgetful(Linear):
    """dW replaces the gradient that is there instead of adding to it: wrong as soon as a layer is used twice."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        self.weight.grad = grad_output.T @ x
        if self.bias is not None:
            self.bias.grad = grad_output.sum(axis=0)
        return grad_output @ self.weight.value


class SumForMean(Linear):
    """dW is multiplied by the number of samples: the mean over the batch was forgotten."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        self.weight.accumulate(grad_output.T @ x * x.shape[0])
        if self.bias is not None:
            self.bias.accumulate(grad_output.sum(axis=0))
        return grad_output @ self.weight.value


class NoBias(Linear):
    """db is never accumulated: the bias stays where it began."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        self.weight.accumulate(grad_output.T @ x)
        return grad_output @ self.weight.value


class AlwaysBias(Linear):
    """backward takes it for granted that there is a bias: without one it crashes."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        self.weight.accumulate(grad_output.T @ x)
        self.bias.accumulate(grad_output.sum(axis=0))  # type: ignore[union-attr]
        return grad_output @ self.weight.value


class Lazy(Softmax):
    """backward returns zeros, which a check with an upstream gradient of ones takes for right."""

    def backward(self, grad_output: mx.array) -> mx.array:
        return mx.zeros_like(grad_output)


class Hungry(ReLU):
    """forward clips the very array that it was given, and whoever else holds it sees the clipped numbers."""

    def forward(self, x: mx.array) -> mx.array:
        x *= x > 0
        self.saved = x
        return x

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output * (self.saved > 0)


class Leaking(ReLU):
    """backward sends the gradient on where forward had let nothing through."""

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output


class Confused(Tanh):
    """forward keeps its input, and backward takes it for the output: 1 - x² instead of 1 - y²."""

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.tanh(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output * (1 - mx.square(self.saved))


class Maskless(Dropout):
    """backward forgets the mask: units that were switched off are blamed for errors they did not cause."""

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output


class Careless(BatchNorm):
    """backward takes mean and deviation for constants: two terms of the derivative are missing."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse, _ = self.saved
        return affine_backward(grad_output, x_hat, self.weight, self.bias) * inverse


class CarelessRows(LayerNorm):
    """backward takes every row's mean and deviation for constants."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse = self.saved
        return affine_backward(grad_output, x_hat, self.weight, self.bias) * inverse


# ---------------------------------------------------------------- losses and optimizers


class TooLarge(CrossEntropyLoss):
    """The derivative is not divided by the number of samples: n times too large."""

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return super().derivative(prediction, target) * prediction.shape[0]


class WrongSign(CrossEntropyLoss):
    """target minus prediction instead of prediction minus target: the loss climbs."""

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return -super().derivative(prediction, target)


class PilingUp(SGD):
    """Nobody forgets the gradients of the steps before: the step goes along the sum of all of them."""

    def new_state(self, value: mx.array) -> list[mx.array]:
        return [mx.zeros_like(value)]

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        total = state[0] + grad
        return value - lr * total, total


class Uncounted(Adam):
    """Adam that never counts its steps: the correction for starting at 0 stays that of the first step."""

    def advance(self) -> None:
        super().advance()
        self.correction.set(1 - self.betas[0])
        self.root_correction.set((1 - self.betas[1]) ** 0.5)
