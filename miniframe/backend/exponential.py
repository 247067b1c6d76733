"""exp, and what is made of it, from sums and products: MLX's own takes some 10 nanoseconds a number on Linux' CPUs.

There the C library is asked for every number by itself. A polynomial for eʳ, |r| < 0.35, and a power of 2 written into
the bits of a number are as exact in single precision, and the processor computes them for several numbers at once: a
nanosecond or two. Elsewhere, in double precision and for few numbers, MLX's own functions are used.

The compiler does so only for loops without a branch. So nothing here chooses by ``where``, a limit is applied last, or
in a kernel of its own (``_apart``), and MLX fuses eleven operations in a row at most.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import mlx.core as mx

LONG_ROW = 64  # numbers, from which on a row is folded before it is summed
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
TANH = (  # the quotient of polynomials in x² that Eigen and XLA take for tanh(x) / x, |x| < 7.905; 3.2e-7 relative
    (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08, -8.60467152213735e-11,
     2.00018790482477e-13, -2.76076847742355e-16),
    (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06),
)  # fmt: skip
LOG_SERIES = [1 / (2 * k + 1) for k in range(8)]  # log(1 + u) = 2 s (1 + s² / 3 + s⁴ / 5 + ...), s = u / (2 + u)
FURTHEST = 7.90531110763549  # from zero, where tanh is ±1 to single precision


def _polynomial(x: mx.array, coefficients: Sequence[float]) -> Any:
    """c₀ + c₁ x + c₂ x² + ..., halved again and again (Estrin 1960), so that few operations wait for each other.

    What eleven operations in a row cut off would be a constant stretched to the size of x, and a kernel that reads such
    a one is several times as slow.
    """
    if len(coefficients) == 1:
        return coefficients[0]
    middle = 2 ** ((len(coefficients) - 1).bit_length() - 1)
    power = x
    for _ in range(middle.bit_length() - 1):
        power = power * power
    return _polynomial(x, coefficients[middle:]) * power + _polynomial(x, coefficients[:middle])


def _apart(x: mx.array) -> mx.array:
    """The same numbers; what follows is not fused with what made them."""
    return x[None].squeeze(0)


def _exp(x: mx.array, highest: float | None = HIGHEST) -> mx.array:
    # eˣ = 2^whole eʳ; whole is a constant between two jumps, for mx.grad, and stands in the last bits of rounded
    least, most = (None if end is None else NO_FRACTION + round(end * LOG2_E) for end in (LOWEST, highest))
    rounded = mx.clip(mx.stop_gradient(x * LOG2_E + NO_FRACTION), least, most)
    half = ((rounded.view(mx.int32) << 23) + (126 << 23)).view(mx.float32)  # 2^(whole - 1)
    whole = rounded - NO_FRACTION
    rest = mx.clip(x, LOWEST, highest) - whole * LOG_2[0] - whole * LOG_2[1]
    return _apart(_polynomial(rest, SERIES) * mx.stop_gradient(half) * 2)


def _softmax(x: mx.array, top: mx.array) -> mx.array:
    return _exp(x - top, highest=None)


def _sigmoid(x: mx.array) -> mx.array:
    power = _exp(x, highest=80)  # where the quotient is 1, and no overflow
    return power / (1 + power)


def _tanh(x: mx.array) -> mx.array:
    square = _apart(mx.minimum(x * x, FURTHEST**2))
    return _apart(mx.clip(x * _polynomial(square, TANH[0]) / _polynomial(square, TANH[1]), -1, 1))


def _softplus(x: mx.array) -> mx.array:
    power = _exp(-mx.abs(x), highest=None)
    share = _apart(power / (2 + power))
    return _apart(mx.maximum(x, 0) + 2 * share * _polynomial(share * share, LOG_SERIES))


def _normal(x: mx.array) -> mx.array:
    t = 1 / (1 + mx.abs(x) * (math.sqrt(0.5) / 2))
    tail = t * _exp(_polynomial(t, ERFC) - x * x * 0.5, highest=None) * 0.5  # Φ(-|x|)
    positive = mx.maximum(mx.sign(x), 0)
    return _apart(mx.abs(positive - tail))  # 1 - tail, or tail


def _density(x: mx.array) -> mx.array:
    return _exp(x * x * -0.5, highest=None) * (1 / math.sqrt(2 * math.pi))


_FUSED: dict[Callable[..., mx.array], Any] = {
    f: mx.compile(f) for f in (_exp, _softmax, _sigmoid, _tanh, _softplus, _normal, _density)
}


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


def softmax(x: mx.array, axis: int = -1) -> mx.array:
    """exp x / Σ exp x along an axis, from the differences to the largest, so that nothing overflows.

    >>> softmax(mx.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    if not pays(x):
        return mx.softmax(x, axis=axis)
    powers = _FUSED[_softmax](x, _largest(x, axis))
    return powers / _along(mx.sum, powers, axis)


def logsumexp(x: mx.array, axis: int = -1) -> mx.array:
    """log Σ exp x along an axis, which stays, from the differences to the largest.

    >>> round(logsumexp(mx.array([[1000.0, 1000.0]])).item() - 1000, 3)
    0.693
    """
    if not pays(x):
        return mx.logsumexp(x, axis=axis, keepdims=True)
    top = _largest(x, axis)
    return top + mx.log(_along(mx.sum, _FUSED[_softmax](x, top), axis))


def _largest(x: mx.array, axis: int) -> mx.array:
    """The maximum along an axis, which stays; a constant, as the result does not depend on what is subtracted."""
    return mx.stop_gradient(_along(mx.max, x, axis))


def _along(reduce: Callable[..., mx.array], x: mx.array, axis: int) -> mx.array:
    """A sum or a maximum along an axis, which stays: of long rows first over their eighths, number by number.

    MLX reduces rows that lie side by side several numbers at once, but what stands in one row one by one.
    """
    if axis in (-1, x.ndim - 1) and x.shape[-1] >= LONG_ROW and x.shape[-1] % 8 == 0:
        x = reduce(mx.unflatten(x, -1, (8, -1)), axis=-2)
    return reduce(x, axis=axis, keepdims=True)


def softplus(x: mx.array) -> mx.array:
    """log(1 + eˣ).

    >>> softplus(mx.array([1000.0])).item()
    1000.0
    """
    return _FUSED[_softplus](x) if pays(x) else mx.logaddexp(x, 0)


def normal(x: mx.array) -> mx.array:
    """Φ(x), the share of a normal distribution that is smaller than x.

    >>> normal(mx.array([0.0])).item()
    0.5
    """
    return _FUSED[_normal](x) if pays(x) else (1 + mx.erf(x / math.sqrt(2))) / 2


def sigmoid(x: mx.array) -> mx.array:
    """1 / (1 + e⁻ˣ).

    >>> sigmoid(mx.array([0.0])).item()
    0.5
    """
    return _FUSED[_sigmoid](x) if pays(x) else mx.sigmoid(x)


def tanh(x: mx.array) -> mx.array:
    """(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ).

    >>> tanh(mx.array([0.0])).item()
    0.0
    """
    return _FUSED[_tanh](x) if pays(x) else mx.tanh(x)


def density(x: mx.array) -> mx.array:
    """exp(-x² / 2) / √(2π), the density of the normal distribution: how fast ``normal`` grows.

    >>> round(density(mx.array([0.0])).item(), 4)
    0.3989
    """
    return _FUSED[_density](x) if pays(x) else mx.exp(-x * x / 2) / math.sqrt(2 * math.pi)
