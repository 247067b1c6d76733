"""exp, and what is made of it, from sums and products: MLX's own takes some 12 nanoseconds a number on Linux' CPUs.

There the C library is asked for every number by itself. A polynomial for eʳ, |r| < 0.35, and a power of 2 written into
the bits of a number are as exact in single precision, and the processor computes them for several numbers at once: exp
is two to three times as fast. Elsewhere, in double precision and for few numbers, MLX's own functions are used, and in
the steps of recurrent layers, where the compiler makes longer kernels of these that are slower than the C library's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import mlx.core as mx

FEW = 2**12  # numbers, below which starting a kernel costs more than it saves
LOG2_E = 1 / math.log(2)
LOG_2 = 0.693359375, -2.12194440e-4  # log 2 in two parts, so that the difference to x loses no digits
SERIES = [1 / math.factorial(k) for k in range(7)]  # Taylor's of eʳ, |r| < 0.35
LOWEST, HIGHEST = -87.6, 89.0  # beyond them, exp is 0 and infinite in single precision
ERFC = (  # Numerical Recipes' fit of Chebyshev for log(erfc(z) / t) + z², t = 1 / (1 + z / 2); 1.2e-7 relative
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
)  # fmt: skip


def _polynomial(x: mx.array, coefficients: Any) -> Any:
    """c₀ + x (c₁ + x (c₂ + ...))."""
    value = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value


def _exp(x: mx.array) -> mx.array:
    x = mx.clip(x, LOWEST, HIGHEST)
    whole = mx.stop_gradient(mx.floor(x * LOG2_E + 0.5))  # eˣ = 2^whole eʳ; a constant between two jumps, for mx.grad
    rest = x - whole * LOG_2[0] - whole * LOG_2[1]
    half = mx.stop_gradient(((whole + 126).astype(mx.int32) << 23).view(mx.float32))  # 2^(whole - 1), from its bits
    return _polynomial(rest, SERIES) * half * 2


def _softmax(x: mx.array, top: mx.array) -> mx.array:
    return _exp(x - top)


def _normal(x: mx.array) -> mx.array:
    z = mx.abs(x) * math.sqrt(0.5)
    t = 1 / (1 + z / 2)
    tail = t * _exp(_polynomial(t, ERFC) - z * z) / 2  # Φ(-|x|)
    return mx.where(x < 0, tail, 1 - tail)


_FUSED: dict[Callable[..., mx.array], Any] = {f: mx.compile(f) for f in (_exp, _softmax, _normal)}


_plain = ContextVar("plain", default=False)


@contextmanager
def plain() -> Iterator[None]:
    """Inside, MLX's own functions are used: for a graph of any batch size, which cannot look at the bits of numbers."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def pays(x: mx.array) -> bool:
    """Whether the functions here are faster than MLX's own for these numbers."""
    if x.dtype != mx.float32 or x.size < FEW or _plain.get():
        return False
    return sys.platform == "linux" and mx.default_device().type == mx.DeviceType.cpu


def exp(x: mx.array) -> mx.array:
    """eˣ.

    >>> exp(mx.zeros((FEW,)))[0].item()
    1.0
    """
    return _FUSED[_exp](x) if pays(x) else mx.exp(x)


def softmax(x: mx.array) -> mx.array:
    """exp x / Σ exp x along the last axis, from the differences to the largest, so that nothing overflows.

    >>> softmax(mx.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if not pays(x):
        return mx.softmax(x, axis=-1)
    powers = _FUSED[_softmax](x, mx.stop_gradient(x.max(axis=-1, keepdims=True)))
    return powers / powers.sum(axis=-1, keepdims=True)


def normal(x: mx.array) -> mx.array:
    """Φ(x), the share of a normal distribution that is smaller than x.

    >>> normal(mx.array([0.0])).item()
    0.5
    """
    return _FUSED[_normal](x) if pays(x) else (1 + mx.erf(x / math.sqrt(2))) / 2
