"""Arithmetic as layers: what ``+``, ``*``, ``@``, ``.sum()`` and the like become when they are applied to nodes.

Each is a pair of maps like any other layer. Where shapes were broadcast in forward, backward sums the gradient over
the stretched axes (``unbroadcast``), since every copy of a number adds its share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..backend.exponential import exp
from ..core.arrays import as_array, as_tuple, is_floating
from ..core.expression import Expression, method, written
from ..core.module import Module
from ..core.ranges import first_outside, missing, readable
from ..core.sums import products, total
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
    whole = (1,) * (grad.ndim - len(shape)) + shape
    behind = tuple(axis for axis, size in enumerate(whole) if size == 1 != grad.shape[axis])
    in_front = next((axis for axis, size in enumerate(whole) if size != 1), grad.ndim)
    if in_front:  # most often all that is stretched: the axis of the samples
        grad = total(grad.reshape(-1, *grad.shape[in_front:]), axis=0)
        behind = tuple(axis - in_front for axis in behind if axis > in_front)
    return (grad.sum(axis=behind, keepdims=True) if behind else grad).reshape(shape)


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
        if isinstance(y, int) and y < 0 and not is_floating(x):
            x = x.astype(mx.float32)  # among whole numbers, 1/2 is 0
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
        grad_x, grad_y = grad @ columns.swapaxes(-1, -2), products(rows, grad)
        return unbroadcast(grad_x, rows.shape).reshape(x.shape), unbroadcast(grad_y, columns.shape).reshape(y.shape)


@method("exp")
class Exp(Module):
    """z = exp x. dx = dz z."""

    def forward(self, x: mx.array) -> mx.array:
        z = exp(x)
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
    """z = x[index]. dx is zero but for the chosen elements; an element chosen twice gets both gradients.

    Raises:
        IndexError: for an index that x does not have; negative ones count from the end. Inside a compiled step, where
            the numbers in an array cannot be seen, all of z and of dx is NaN instead.
        ValueError: for a slice with the step 0, or for more indices than axes.
    """

    def __init__(self, index: Any) -> None:
        if 0 in [part.step for part in as_tuple(index) if isinstance(part, slice)]:
            raise ValueError(f"Index: expected slices with a step other than 0, got {index}")
        self.index = index

    def settings(self) -> str:
        return str(self.index)

    def forward(self, x: mx.array) -> mx.array:
        index, exists = self.inside(x.shape)
        self.saved = x.shape, index, exists
        return x[index] if exists is None else mx.where(exists, x[index], missing(x.dtype))

    def backward(self, grad_output: mx.array) -> mx.array:
        shape, index, exists = self.saved
        elsewhere = 0 if exists is None else mx.where(exists, 0, math.nan)
        return mx.full(shape, elsewhere, dtype=grad_output.dtype).at[index].add(grad_output)

    def inside(self, shape: tuple[int, ...]) -> tuple[Any, mx.array | None]:
        """The index with what could not be looked at brought inside, and whether that was inside; None if all was."""
        parts = as_tuple(self.index)
        taken = sum(part is not None and part is not Ellipsis for part in parts)
        if taken > len(shape):
            raise ValueError(f"Index: expected at most {len(shape)} indices for shape {shape}, got {taken}")
        found, exists, axis = [], None, 0
        for part in parts:
            if isinstance(part, (int, np.integer, list, np.ndarray, mx.array)):
                part, known = _on_axis(part, axis, shape[axis])
                exists = known if exists is None or known is None else exists & known
            found.append(part)
            axis += len(shape) - taken if part is Ellipsis else part is not None
        return tuple(found) if isinstance(self.index, tuple) else found[0], exists


def _on_axis(part: Any, axis: int, size: int) -> tuple[int | mx.array, mx.array | None]:
    """One index or an array of them, inside -size..size - 1, and whether it was; None where that could be seen."""
    part = part if isinstance(part, int) else as_array(part, "Index")
    numbers = readable(part) if isinstance(part, mx.array) else np.asarray(part)
    if numbers is None:
        part = part.astype(mx.int32) if part.dtype.size < 4 else part
        kept = mx.clip(part, 0 if part.dtype in (mx.uint32, mx.uint64) else -size, size - 1)
        return kept, (kept == part).all()
    if bad := first_outside(numbers, -size, size - 1):
        raise IndexError(f"Index: expected indices in {-size}..{size - 1} along axis {axis}, got {bad}")
    return part, None


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
