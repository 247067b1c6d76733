"""Arithmetic as layers: what ``+``, ``*``, ``@``, ``.sum()`` and the like become when they are applied to nodes.

Each is a pair of maps like any other layer. Where shapes were broadcast in forward, backward sums the gradient over
the stretched axes (``unbroadcast``), since every copy of a number adds its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.expression import Expression, method, written
from ..core.module import Module
from ..core.teach import teach


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array; () for a plain number."""
    return x.shape if isinstance(x, mx.array) else ()


def unbroadcast(grad: mx.array, shape: tuple[int, ...]) -> mx.array:
    """Sum ``grad`` over the axes along which a value of ``shape`` was stretched.

    >>> unbroadcast(mx.ones((4, 3)), (3,)).tolist()
    [4.0, 4.0, 4.0]
    """
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    stretched = tuple(extra + axis for axis, size in enumerate(shape) if size == 1 and grad.shape[extra + axis] != 1)
    return grad.sum(axis=tuple(range(extra)) + stretched, keepdims=True).reshape(shape)


@written("+")
class Add(Module):
    """z = x + y, broadcast. dx = dz, dy = dz."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = shape_of(x), shape_of(y)
        return x + y

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x_shape, y_shape = self.saved
        return unbroadcast(grad_output, x_shape), unbroadcast(grad_output, y_shape)


@written("-")
class Subtract(Module):
    """z = x - y, broadcast. dx = dz, dy = -dz."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = shape_of(x), shape_of(y)
        return x - y

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x_shape, y_shape = self.saved
        return unbroadcast(grad_output, x_shape), unbroadcast(-grad_output, y_shape)


@written("*")
class Multiply(Module):
    """z = x * y, broadcast. dx = dz y, dy = dz x."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = x, y
        return x * y

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, y = self.saved
        return unbroadcast(grad_output * y, shape_of(x)), unbroadcast(grad_output * x, shape_of(y))


@written("/")
class Divide(Module):
    """z = x / y, broadcast. dx = dz / y, dy = -dz x / y²."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = x, y
        return x / y

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, y = self.saved
        grad_x = grad_output / y
        return unbroadcast(grad_x, shape_of(x)), unbroadcast(-grad_x * x / y, shape_of(y))


@method("__neg__")
class Negate(Module):
    """z = -x. dx = -dz."""

    def forward(self, x: mx.array) -> mx.array:
        self.saved = ()
        return -x

    def backward(self, grad_output: mx.array) -> mx.array:
        return -grad_output


@written("**")
class Power(Module):
    """z = x ** y, broadcast. dx = dz y x^(y-1), dy = dz z log x (0 where x = 0, as z stays 0 there).

    Where y = 0, z is 1 everywhere, so dx = 0 there, at x = 0 too.
    """

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        z = x**y
        self.saved = x, y, z
        return z

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array | None]:
        x, y, z = self.saved
        grad_x = mx.where(y == 0, 0, grad_output * y * x ** (y - 1))
        if not isinstance(y, mx.array):  # a plain number needs no gradient, and log x may not exist
            return unbroadcast(grad_x, shape_of(x)), None
        x = x if isinstance(x, mx.array) else mx.array(x, dtype=y.dtype)
        grad_y = mx.where(x == 0, 0, grad_output * z * mx.log(mx.where(x == 0, 1, x)))
        return unbroadcast(grad_x, shape_of(x)), unbroadcast(grad_y, shape_of(y))


@written("@")
class MatMul(Module):
    """Z = X Y. dX = dZ Yᵀ, dY = Xᵀ dZ. Two vectors give their dot product; leading axes broadcast."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = x, y
        return x @ y

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, y = self.saved
        rows = x[None] if x.ndim == 1 else x
        columns = y[:, None] if y.ndim == 1 else y
        grad = grad_output[..., None] if y.ndim == 1 else grad_output
        grad = grad[..., None, :] if x.ndim == 1 else grad
        grad_x, grad_y = grad @ columns.swapaxes(-1, -2), rows.swapaxes(-1, -2) @ grad
        return unbroadcast(grad_x, rows.shape).reshape(x.shape), unbroadcast(grad_y, columns.shape).reshape(y.shape)


@method("exp")
class Exp(Module):
    """z = exp x. dx = dz z."""

    def forward(self, x: mx.array) -> mx.array:
        z = mx.exp(x)
        self.saved = z
        return z

    def backward(self, grad_output: mx.array) -> mx.array:
        z = self.saved
        return grad_output * z


@method("log")
class Log(Module):
    """z = log x. dx = dz / x."""

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return mx.log(x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        return grad_output / x


@method("sqrt")
class Sqrt(Module):
    """z = √x. dx = dz / 2z."""

    def forward(self, x: mx.array) -> mx.array:
        z = mx.sqrt(x)
        self.saved = z
        return z

    def backward(self, grad_output: mx.array) -> mx.array:
        z = self.saved
        return grad_output / (2 * z)


@method("__getitem__")
class Index(Module):
    """z = x[index]. dx is zero but for the chosen elements; an element chosen twice gets both gradients."""

    def __init__(self, index: Any) -> None:
        self.index = index

    def settings(self) -> str:
        return str(self.index)

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        self.saved = x.shape
        return x[self.index]

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return mx.zeros(shape, dtype=grad_output.dtype).at[self.index].add(grad_output)

    def check(self, x: mx.array) -> None:
        """Raise for an index out of range, which MLX does not look at, and for a slice with step 0."""
        parts = list(self.index) if isinstance(self.index, tuple) else [self.index]
        taken = sum(part is not None and part is not Ellipsis for part in parts)
        if taken > x.ndim:
            raise self.wrong(f"an input of at least {taken} axes", x)
        axis = 0
        for part in parts:
            if part is Ellipsis:
                axis += x.ndim - taken
            elif part is not None:
                self.check_part(part, x, axis)
                axis += 1

    def check_part(self, part: Any, x: mx.array, axis: int) -> None:
        """The same for one axis."""
        length = x.shape[axis]
        if isinstance(part, slice):
            if part.step == 0:
                raise ValueError(f"{self.title()}: expected a slice whose step is not 0")
            return
        try:
            chosen = np.array(part)
        except ValueError:  # computed in a compiled step: nobody can look at it
            return
        if chosen.dtype.kind in "iu" and chosen.size and not -length <= chosen.min() <= chosen.max() < length:
            bad = chosen.max() if chosen.max() >= length else chosen.min()
            raise ValueError(f"{self.title()}: expected indices in 0..{length - 1} along axis {axis}, got {bad}")


class ReshapeTo(Module):
    """z = x in another shape, -1 meaning "what is left". dx = dz in the old shape."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)

    def settings(self) -> str:
        return str(self.shape)

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x.shape
        return x.reshape(self.shape)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)


class Transpose(Module):
    """z = x with its axes permuted (reversed by default). dx = dz with the inverse permutation."""

    def __init__(self, axes: Sequence[int] | None = None) -> None:
        self.axes = None if axes is None else tuple(axes)

    def settings(self) -> str:
        return "" if self.axes is None else str(self.axes)

    def forward(self, x: mx.array) -> mx.array:
        self.saved = ()
        return x.transpose(*self.axes) if self.axes else x.T

    def backward(self, grad_output: mx.array) -> mx.array:
        if self.axes is None:
            return grad_output.T
        inverse = np.argsort([axis % len(self.axes) for axis in self.axes]).tolist()
        return grad_output.transpose(*inverse)


def reshape(x: Any, *shape: Any) -> Any:
    """The same numbers in another shape, given as a tuple or one by one; -1 means "what is left"."""
    return ReshapeTo(shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)(x)


def transpose(x: Any, *axes: int) -> Any:
    """The axes permuted; reversed, if none are given."""
    return Transpose(axes or None)(x)


teach(Expression, reshape, transpose, T=property(lambda x: Transpose()(x), doc="All axes reversed."))
