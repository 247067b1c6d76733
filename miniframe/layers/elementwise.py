"""Functions of single numbers as layers, beside the arithmetic of arithmetic.py and the activations."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx

from ..core.expression import method, written
from ..core.module import Module


@method("abs")
@method("__abs__")
class Abs(Module):
    """z = |x|. dx = dz where x > 0, -dz where x < 0, and 0 at x = 0, as in PyTorch.

    >>> layer = Abs()
    >>> layer(mx.array([-3.0, 2.0])).tolist(), layer.backward(mx.array([1.0, 1.0])).tolist()
    ([3.0, 2.0], [-1.0, 1.0])
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.abs(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        return grad_output * mx.sign(x)


@method("square")
class Square(Module):
    """z = x². dx = 2 dz x.

    >>> Square()(mx.array([-3.0, 2.0])).tolist()
    [9.0, 4.0]
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.square(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        return grad_output * (2 * x)


@method("sin")
class Sin(Module):
    """z = sin x. dx = dz cos x."""

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.sin(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        return grad_output * mx.cos(x)


@method("cos")
class Cos(Module):
    """z = cos x. dx = -dz sin x."""

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.cos(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        return -grad_output * mx.sin(x)


@method("clip")
class Clip(Module):
    """z = x, but at least ``low`` and at most ``high``. dx = dz where low <= x <= high, else 0, as in PyTorch.

    Args:
        low, high: numbers; None for no bound.

    >>> Clip(0, 1)(mx.array([-3.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    samples_apart = True

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        for bound in (low, high):
            if bound is not None and not isinstance(bound, (int, float)):
                raise TypeError(f"Clip: expected numbers or None as bounds, got {bound!r}")
        if low is None and high is None:
            raise ValueError("Clip: expected a low or a high bound, got none")
        if low is not None and high is not None and low > high:
            raise ValueError(f"Clip: expected low <= high, got {low} and {high}")
        self.low, self.high = low, high

    def settings(self) -> str:
        return f"{self.low}, {self.high}"

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.clip(x, self.low, self.high)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        inside = mx.ones_like(x)
        if self.low is not None:
            inside = inside * (x >= self.low)
        if self.high is not None:
            inside = inside * (x <= self.high)
        return grad_output * inside


@method("astype")
class AsType(Module):
    """z = x in another type. dx = dz in the type of x; whole numbers and bools get no gradient.

    Args:
        dtype: such as ``mx.float16``.

    >>> AsType(mx.int32)(mx.array([1.5, 2.0])).tolist()
    [1, 2]
    """

    samples_apart = True

    def __init__(self, dtype: mx.Dtype) -> None:
        if not isinstance(dtype, mx.Dtype):
            raise TypeError(f"AsType: expected a type such as mx.float32, got {dtype!r}")
        self.dtype = dtype

    def settings(self) -> str:
        return str(self.dtype).split(".")[-1]

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x.dtype
        return x.astype(self.dtype)

    def backward(self, grad_output: mx.array) -> mx.array | None:
        before = self.saved
        differentiable = mx.issubdtype(before, mx.floating) and mx.issubdtype(self.dtype, mx.floating)
        return grad_output.astype(before) if differentiable else None


COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": mx.equal, "!=": mx.not_equal,
}  # fmt: skip


class Compare(Module):
    """z = whether x > y (or another sign), broadcast: bools, a step that has no gradient. For ``where``.

    Args:
        sign: one of > < >= <= == !=.

    >>> Compare(">=")(mx.array([1.0, 2.0, 3.0]), mx.array(2.0)).tolist()
    [False, True, True]
    """

    def __init__(self, sign: str) -> None:
        if sign not in COMPARED:
            raise ValueError(f"Compare: expected one of {' '.join(COMPARED)}, got {sign!r}")
        self.sign = sign

    def settings(self) -> str:
        return self.sign

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = ()
        return COMPARED[self.sign](x, y)

    def backward(self, grad_output: mx.array) -> tuple[None, None]:
        return None, None


for _sign in (">", "<", ">=", "<="):
    written(_sign)(partial(Compare, _sign))
