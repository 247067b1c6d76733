"""Layers that make one number of many, along some axes: backward spreads the gradient over what went in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import mlx.core as mx

from ..core.elsewhere import called_here
from ..core.expression import Axis, Expression, method
from ..core.module import Module
from ..core.sums import LONG, mean, total


class _Reduction(Module):
    """What Sum, Mean, Max and Min share: the axes, and giving a reduced array its axes back."""

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
        self.keepdims = keepdims

    def settings(self) -> str:
        return "" if self.axis is None else f"axis={self.axis}"

    def over_many(self, x: mx.array) -> bool:
        """Whether very many samples are brought together, which single precision does only in blocks."""
        return self.axis in (None, 0) and not self.keepdims and x.ndim > 0 and x.shape[0] > LONG

    def expand(self, reduced: mx.array, shape: tuple[int, ...]) -> mx.array:
        """``reduced`` with the axes that were summed away put back at size 1."""
        axes = range(len(shape)) if self.axis is None else [self.axis] if isinstance(self.axis, int) else self.axis
        gone = {axis % len(shape) for axis in axes}
        return reduced.reshape([1 if axis in gone else size for axis, size in enumerate(shape)])


R = TypeVar("R", bound=type[_Reduction])


def reduction(name: str) -> Callable[[R], R]:
    """``@method(name)`` that knows what PyTorch calls its arguments, and says what they are called here."""

    def attach(layer: R) -> R:
        method(name)(layer)
        setattr(Expression, name, called_here(dim="axis", keepdim="keepdims")(getattr(Expression, name)))
        return layer

    return attach


@reduction("sum")
class Sum(_Reduction):
    """z = Σ x over ``axis`` (all axes by default). dx = dz, spread over the summed axes."""

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x.shape
        if self.over_many(x):
            return total(x, None if self.axis is None else 0)
        return x.sum(axis=self.axis, keepdims=self.keepdims)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return mx.broadcast_to(self.expand(grad_output, shape), shape)


@reduction("mean")
class Mean(_Reduction):
    """z = Σ x / n over ``axis``. dx = dz / n, spread over the averaged axes."""

    def forward(self, x: mx.array) -> mx.array:
        many = self.over_many(x)
        z = mean(x, None if self.axis is None else 0) if many else x.mean(axis=self.axis, keepdims=self.keepdims)
        self.saved = x.shape, x.size // max(z.size, 1)
        return z

    def backward(self, grad_output: mx.array) -> mx.array:
        shape, n = self.saved
        return mx.broadcast_to(self.expand(grad_output, shape) / n, shape)


class _Extreme(_Reduction):
    """The largest or the smallest: the gradient goes to where it stands."""

    def backward(self, grad_output: mx.array) -> mx.array:
        x, z = self.saved
        winners = (x == self.expand(z, x.shape)).astype(x.dtype)
        shares = winners / winners.sum(axis=self.axis, keepdims=True)
        return shares * self.expand(grad_output, x.shape)


@reduction("max")
class Max(_Extreme):
    """z = max x over ``axis``. dx = dz at the largest element; equal ones share it, as in PyTorch's amax."""

    def forward(self, x: mx.array) -> mx.array:
        z = x.max(axis=self.axis, keepdims=self.keepdims)
        self.saved = x, z
        return z


@reduction("min")
class Min(_Extreme):
    """z = min x over ``axis``. dx = dz at the smallest element; equal ones share it, as in PyTorch's amin."""

    def forward(self, x: mx.array) -> mx.array:
        z = x.min(axis=self.axis, keepdims=self.keepdims)
        self.saved = x, z
        return z
