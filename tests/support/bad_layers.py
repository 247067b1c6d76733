"""Layers with one mistake each, for tests/testing: at the top of a module, so that pickle finds their classes."""

import mlx.core as mx
import numpy as np

import miniframe as mf


@mf.register
class Scale(mf.Module):
    """y = w x for every feature: right in every way. The others are like it, but for one thing."""

    samples_apart = True

    def __init__(self, features=3):
        self.weight = mf.Parameter(mx.arange(1, features + 1).astype(mx.float32))

    def forward(self, x):
        self.saved = x
        return x * self.weight.value

    def backward(self, grad_output):
        x = self.saved
        self.weight.accumulate((grad_output * x).sum(axis=tuple(range(x.ndim - 1))))
        return grad_output * self.weight.value


@mf.register
class WritesIntoItsInput(Scale):
    def forward(self, x):
        y = super().forward(mx.array(x))
        x[:] = 0
        return y

    backward = Scale.backward


@mf.register
class WritesIntoTheGradient(Scale):
    def backward(self, grad_output):
        result = super().backward(mx.array(grad_output))
        grad_output[:] = 0
        return result


@mf.register
class WrongSign(Scale):
    def backward(self, grad_output):
        return -super().backward(grad_output)


@mf.register
class ForgetsItsWeight(Scale):
    def backward(self, grad_output):
        return grad_output * self.weight.value


@mf.register
class Overwrites(Scale):
    def backward(self, grad_output):
        x = self.saved
        self.weight.grad = (grad_output * x).sum(axis=0)
        return grad_output * self.weight.value


@mf.register
class KeepsItElsewhere(Scale):
    def forward(self, x):
        self.x = x
        return x * self.weight.value

    def backward(self, grad_output):
        self.weight.accumulate((grad_output * self.x).sum(axis=0))
        return grad_output * self.weight.value


@mf.register
class NeedsABatch(Scale):
    def forward(self, x):
        if len(x) < 2:
            raise ValueError("too few")
        return super().forward(x)

    backward = Scale.backward


@mf.register
class MixesSamples(mf.Module):
    samples_apart = True

    def forward(self, x):
        return x - x.mean(axis=0)

    def backward(self, grad_output):
        return grad_output - grad_output.mean(axis=0)


@mf.register
class DrawsFromNumPy(mf.Module):
    def forward(self, x):
        self.saved = mask = mx.array(np.random.rand(*x.shape) < 0.5) if self.training else mx.ones_like(x)
        return x * mask

    def backward(self, grad_output):
        return grad_output * self.saved


@mf.register
class ForgetsEvaluationMode(mf.Module):
    def forward(self, x):
        self.saved = mask = mx.random.bernoulli(0.5, x.shape)
        return x * mask

    def backward(self, grad_output):
        return grad_output * self.saved


@mf.register
class HoldsAFunction(Scale):
    def __init__(self, features=3):
        super().__init__(features)
        self.function = lambda x: x


class Unregistered(Scale):
    pass


@mf.register
class WrongShape(Scale):
    def backward(self, grad_output):
        return super().backward(grad_output).reshape(-1)


@mf.register
class HalfPrecision(Scale):
    def forward(self, x):
        return super().forward(x).astype(mx.float16 if x.dtype == mx.float32 else x.dtype)

    backward = Scale.backward


@mf.register
class ReadsTheMemoryAsItLies(Scale):
    """Takes for granted that an array's numbers lie in order, as a kernel written for that would."""

    def forward(self, x):
        y = super().forward(x)
        backwards = x.ndim == 2 and x.shape[0] > 1 and not _in_order(x)
        return y[::-1] if backwards else y

    backward = Scale.backward


def _in_order(x):
    try:
        return np.asarray(memoryview(x)).flags["C_CONTIGUOUS"]
    except (ValueError, RuntimeError):  # inside a transformation there is no memory to look at
        return True
