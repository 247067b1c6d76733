"""Double precision that deserves the name, for gradient checks.

MLX (0.32) computes exp, sigmoid, erf, sin, cos and what is built on them to about seven digits even for float64
arrays, which drowns finite differences in rounding errors. While ``with precise():`` is active, versions accurate to
the last digits, made of primitives that are exact (power, expm1, log1p), stand in for them on float64 arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx

from ..backend.stand_ins import stand_ins


def _exp(x: mx.array) -> mx.array:
    return mx.power(mx.array(math.e, dtype=mx.float64), x)


def _sigmoid(x: mx.array) -> mx.array:
    small = _exp(-mx.abs(x))
    return mx.where(x >= 0, 1, small) / (1 + small)


def _logaddexp(x: mx.array, y: Any) -> mx.array:
    return mx.maximum(x, y) + mx.log1p(_exp(-mx.abs(x - y)))


def _logsumexp(x: mx.array, axis: Any = None, keepdims: bool = False) -> mx.array:
    top = x.max(axis=axis, keepdims=True)
    total = mx.log(_exp(x - top).sum(axis=axis, keepdims=keepdims))
    return total + (top if keepdims else x.max(axis=axis))


def _softmax(x: mx.array, axis: Any = None, **options: Any) -> mx.array:
    return _exp(x - _logsumexp(x, axis=axis, keepdims=True))


def _erf(x: mx.array) -> mx.array:
    # erf x = 2/√π exp(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1)): only positive terms, so nothing cancels
    bounded = mx.clip(x, -6, 6)  # beyond, erf is ±1 to the last digit
    term = total = bounded
    for n in range(1, 120):
        term = term * (2 * bounded * bounded / (2 * n + 1))
        total = total + term
    return 2 / math.sqrt(math.pi) * _exp(-bounded * bounded) * total


def _sin(x: mx.array) -> mx.array:
    turn = x - 2 * math.pi * mx.round(x / (2 * math.pi))
    term = total = turn
    for n in range(1, 16):
        term = -term * turn * turn / (2 * n * (2 * n + 1))
        total = total + term
    return total


def _cos(x: mx.array) -> mx.array:
    return _sin(x + math.pi / 2)


def _addmm(c: mx.array, a: mx.array, b: mx.array, alpha: float = 1.0, beta: float = 1.0) -> mx.array:
    return alpha * (a @ b) + beta * c  # no more accurate, but mx.vmap can run it on many biases at once


_REPLACEMENTS: dict[str, Callable[..., mx.array]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "logaddexp": _logaddexp,
    "logsumexp": _logsumexp,
    "softmax": _softmax,
    "erf": _erf,
    "sin": _sin,
    "cos": _cos,
    "addmm": _addmm,
}


def _choosing(accurate: Callable[..., mx.array], original: Callable[..., mx.array]) -> Callable[..., mx.array]:
    """Calls ``accurate`` for float64 arrays, ``original`` for everything else."""

    def function(x: Any, *args: Any, **options: Any) -> mx.array:
        given = [_array_in(a) for a in (x, *args)]
        if any(isinstance(a, mx.array) and a.dtype == mx.float64 for a in given):
            return accurate(*given, **options)
        return original(*given, **options)

    return function


def _array_in(x: Any) -> Any:
    """The array that a Parameter stands for; anything else as it is."""
    return x.__mlx_array__() if hasattr(x, "__mlx_array__") and not isinstance(x, mx.array) else x


@contextmanager
def precise() -> Iterator[None]:
    """Make float64 functions of ``mlx.core``, and the array methods of the same names, accurate for the moment.

    Only in this thread; others go on computing as they did.
    """
    makers = [(name, partial(_choosing, accurate)) for name, accurate in _REPLACEMENTS.items()]
    with stand_ins((owner, name, make) for owner in (mx, mx.array) for name, make in makers):
        yield
