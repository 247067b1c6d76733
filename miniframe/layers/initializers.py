"""Starting values for weights: what keeps the size of activations and gradients even from layer to layer.

Every initializer takes a shape laid out like a layer's weight, (outputs, ..., inputs), and returns a float32 array,
whose computation has been started, so that any thread can use it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx

from ..core.cells import started

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs feed one output, and how many outputs one input feeds.

    >>> fans((25, 2)), fans((32, 3, 3, 16))
    ((2, 25), (144, 288))
    """
    if len(shape) < 2:
        raise ValueError(f"fans: expected a weight shape (outputs, ..., inputs), got {tuple(shape)}")
    window = math.prod(shape[1:-1])
    return shape[-1] * window, shape[0] * window


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor by which a nonlinearity asks weights to be larger, √(2 / (1 + slope²)) for a leaky ReLU.

    Args:
        nonlinearity: linear, sigmoid, tanh, relu, leaky_relu or selu.
        slope: of a leaky ReLU's negative side.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(f"gain: unknown nonlinearity {nonlinearity!r}; known: {', '.join([*GAINS, 'leaky_relu'])}")
    return GAINS[nonlinearity]


def zeros(shape: Sequence[int]) -> mx.array:
    """All zeros."""
    return started(mx.zeros(shape))


def constant(shape: Sequence[int], value: float) -> mx.array:
    """``value`` everywhere."""
    return started(mx.full(shape, value, dtype=mx.float32))


def uniform(shape: Sequence[int], bound: float) -> mx.array:
    """U(-bound, bound)."""
    return started(mx.random.uniform(-bound, bound, shape))


def normal(shape: Sequence[int], std: float) -> mx.array:
    """N(0, std²)."""
    return started(mx.random.normal(shape) * std)


def xavier_uniform(shape: Sequence[int], gain: float = 1.0) -> mx.array:
    """Glorot & Bengio 2010: U(-b, b) with b = gain √(6 / (fan_in + fan_out)).

    >>> bool(mx.abs(xavier_uniform((25, 2))).max() <= (6 / 27) ** 0.5)
    True
    """
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))))


def xavier_normal(shape: Sequence[int], gain: float = 1.0) -> mx.array:
    """Glorot & Bengio 2010: N(0, s²) with s = gain √(2 / (fan_in + fan_out))."""
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))))


def kaiming_uniform(shape: Sequence[int], gain: float = math.sqrt(2)) -> mx.array:
    """He et al. 2015: U(-b, b) with b = gain √(3 / fan_in); the default gain √2 is ReLU's."""
    return uniform(shape, gain * math.sqrt(3 / fans(shape)[0]))


def kaiming_normal(shape: Sequence[int], gain: float = math.sqrt(2)) -> mx.array:
    """He et al. 2015: N(0, s²) with s = gain / √fan_in; the default gain √2 is ReLU's."""
    return normal(shape, gain / math.sqrt(fans(shape)[0]))


def orthogonal(shape: Sequence[int], gain: float = 1.0) -> mx.array:
    """Saxe et al. 2013: a random matrix (outputs, everything else) with orthonormal rows or columns, times gain."""
    rows, columns = shape[0], math.prod(shape[1:])
    with mx.stream(mx.cpu):  # MLX factorizes on the CPU only
        q, r = mx.linalg.qr(mx.random.normal((max(rows, columns), min(rows, columns))))
        q = q * mx.sign(mx.diag(r))  # makes the distribution uniform over all rotations
        matrix = q if rows >= columns else q.T
        return started((gain * matrix).reshape(shape))
