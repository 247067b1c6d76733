"""Activations and what drops numbers in training as functions, for arrays and nodes alike (see functional.py)."""

from __future__ import annotations

from typing import Any

import mlx.core as mx  # noqa: F401  (for the examples)

from ..core.elsewhere import called_here
from . import activations, hard
from .dropout import Dropout
from .stochastic_depth import StochasticDepth


def relu(x: Any) -> Any:
    """max(x, 0). Derivative: 1 where x > 0, else 0.

    >>> relu(mx.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return activations.ReLU()(x)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where x > 0, else slope · x. Derivative: 1 or slope.

    >>> leaky_relu(mx.array([-2.0, 2.0]), 0.5).tolist()
    [-1.0, 2.0]
    """
    return activations.LeakyReLU(slope)(x)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha (exp x - 1). Derivative: 1 or alpha exp x.

    >>> elu(mx.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return activations.ELU(alpha)(x)


def gelu(x: Any) -> Any:
    """x Φ(x), with Φ the cumulative normal distribution. Derivative: Φ(x) + x φ(x), φ being its density.

    >>> gelu(mx.array([0.0])).tolist()
    [0.0]
    """
    return activations.GELU()(x)


def silu(x: Any) -> Any:
    """x s with s = sigmoid(x). Derivative: s + x s (1 - s).

    >>> silu(mx.array([0.0])).tolist()
    [0.0]
    """
    return activations.SiLU()(x)


def relu6(x: Any) -> Any:
    """x between 0 and 6. Derivative: 1 in between, else 0.

    >>> relu6(mx.array([-1.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """
    return hard.ReLU6()(x)


def hardsigmoid(x: Any) -> Any:
    """(x + 3) / 6, between 0 and 1. Derivative: 1 / 6 in between, else 0.

    >>> hardsigmoid(mx.array([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return hard.Hardsigmoid()(x)


def hardswish(x: Any) -> Any:
    """x times hardsigmoid(x). Derivative: x / 3 + 1 / 2 between -3 and 3, else 0 or 1.

    >>> hardswish(mx.array([-4.0, 1.5, 4.0])).tolist()
    [-0.0, 1.125, 4.0]
    """
    return hard.Hardswish()(x)


def sigmoid(x: Any) -> Any:
    """y = 1 / (1 + exp(-x)). Derivative: y (1 - y).

    >>> sigmoid(mx.array([0.0])).tolist()
    [0.5]
    """
    return activations.Sigmoid()(x)


def tanh(x: Any) -> Any:
    """y = tanh x. Derivative: 1 - y².

    >>> tanh(mx.array([0.0])).tolist()
    [0.0]
    """
    return activations.Tanh()(x)


def softplus(x: Any) -> Any:
    """log(1 + exp x), a smooth ReLU. Derivative: sigmoid(x).

    >>> round(softplus(mx.array([0.0])).item(), 4)
    0.6931
    """
    return activations.Softplus()(x)


@called_here(dim="axis")
def softmax(x: Any, axis: int = -1) -> Any:
    """y = exp x / Σ exp x along an axis. dx = y (dy - Σ dy y).

    >>> softmax(mx.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    return activations.Softmax(axis)(x)


@called_here(dim="axis")
def log_softmax(x: Any, axis: int = -1) -> Any:
    """y = x - log Σ exp x along an axis. dx = dy - exp(y) Σ dy.

    >>> log_softmax(mx.array([[5.0]])).tolist()
    [[0.0]]
    """
    return activations.LogSoftmax(axis)(x)


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Any:
    """Each element is 0 with probability p, else divided by 1 - p; x itself unless training. Derivative: the same mask.

    >>> dropout(mx.array([1.0, 2.0]), training=False).tolist()
    [1.0, 2.0]
    """
    return Dropout(p).train(training)(x)


def stochastic_depth(x: Any, p: float, mode: str = "row", training: bool = True) -> Any:
    """Whole samples are 0 with probability p, the others divided by 1 - p; x itself unless training.

    >>> stochastic_depth(mx.array([1.0, 2.0]), 0.5, training=False).tolist()
    [1.0, 2.0]
    """
    return StochasticDepth(p, mode).train(training)(x)
