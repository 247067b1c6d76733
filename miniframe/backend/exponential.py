"""exp, and what is made of it, from sums and products: MLX's own takes some 12 nanoseconds a number on Linux' CPUs.

There the C library is asked for every number by itself. A polynomial for eʳ, |r| < 0.35, and a power of 2 written into
the bits of a number are as exact in single precision, and the processor computes them for several numbers at once: exp
is two to three times as fast. Elsewhere, in double precision and for few numbers, MLX's own functions are used, and in
the steps of recurrent layers, where the compiler makes longer kernels of these that are slower than the C library's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import mlx.core as mx

FEW = 2**12  # numbers, below which starting a kernel costs more than it saves
LOG2_E = 1 / math.log(2)
LOG_2 = 0.693359375, -2.12194440e-4  # log 2 in two parts, so that the difference to x loses no digits
SERIES = [1 / math.factorial(k) for k in range(7)]  # Taylor's of eʳ, |r| < 0.35
NO_FRACTION = 1.5 * 2.0**23  # what is added to this has no room left for digits behind the point
LOWEST, HIGHEST = -87.6, 89.0  # beyond them, exp is 0 and infinite in single precision
ERFC = (  # Numerical Recipes' fit of Chebyshev for log(erfc(z) / t) + z², t = 1 / (1 + z / 2); 1.2e-7 relative
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
)  # fmt: skip


def _polynomial(x: mx.array, coefficients: Sequence[float]) -> Any:
    """c₀ + c₁ x + c₂ x² + ..., halved again and again (Estrin 1960), so that few operations wait for each other.

    MLX fuses eleven operations in a row at most. What is cut off would be a constant stretched to the size of x, and a
    kernel that reads such a one is several times as slow.
    """
    if len(coefficients) == 1:
        return coefficients[0]
    middle = 2 ** ((len(coefficients) - 1).bit_length() - 1)
    power = x
    for _ in range(middle.bit_length() - 1):
        power = power * power
    return _polynomial(x, coefficients[middle:]) * power + _polynomial(x, coefficients[:middle])


def _exp(x: mx.array) -> mx.array:
    # rounded to a whole number, which then stands in the last bits; a constant between two jumps, for mx.grad
    rounded = mx.stop_gradient(mx.clip(x * LOG2_E, LOWEST * LOG2_E, HIGHEST * LOG2_E) + NO_FRACTION)
    half = ((rounded.view(mx.int32) << 23) + (126 << 23)).view(mx.float32)  # 2^(whole - 1): eˣ = 2^whole eʳ
    whole = rounded - NO_FRACTION
    rest = mx.clip(x, LOWEST, HIGHEST) - whole * LOG_2[0] - whole * LOG_2[1]
    return _apart(_polynomial(rest, SERIES) * mx.stop_gradient(half) * 2)


def _apart(x: mx.array) -> mx.array:
    """The same numbers; what follows is not fused with what made them, see _polynomial."""
    return x[None].squeeze(0)


def _softmax(x: mx.array, top: mx.array) -> mx.array:
    return _exp(x - top)


def _normal(x: mx.array) -> mx.array:
    t = 1 / (1 + mx.abs(x) * (math.sqrt(0.5) / 2))  # with z = |x| / √2
    tail = t * _exp(_polynomial(t, ERFC) - x * x * 0.5) * 0.5  # Φ(-|x|)
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
