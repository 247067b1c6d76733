"""Layers that join, cut and choose between arrays, and the functions that call them on arrays and nodes alike.

Forward copies numbers from several places to one, or from one to several; backward carries each gradient back along
the way its number came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_tuple
from ..core.checks import whole
from ..core.elsewhere import called_here
from ..core.expression import Expression
from ..core.module import Module
from ..core.sums import total
from ..core.teach import teach
from .arithmetic import shape_of, unbroadcast


class Concatenate(Module):
    """z = the inputs one after the other along ``axis``. Each input gets its own stretch of dz.

    Args:
        axis: 0 by default.

    Shapes: equal but for ``axis``.

    >>> joined = Concatenate(axis=1)
    >>> joined(mx.zeros((2, 3)), mx.zeros((2, 1))).shape, [g.shape for g in joined.backward(mx.ones((2, 4)))]
    ((2, 4), [(2, 3), (2, 1)])
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def settings(self) -> str:
        return f"axis={self.axis}"

    def forward(self, *inputs: mx.array) -> mx.array:
        self.check(inputs)
        self.saved = [x.shape[self.axis] for x in inputs]
        return mx.concatenate(list(inputs), axis=self.axis)

    def backward(self, grad_output: mx.array) -> tuple[mx.array, ...]:
        lengths = self.saved
        return tuple(mx.split(grad_output, np.cumsum(lengths)[:-1].tolist(), axis=self.axis))

    def check(self, inputs: tuple[mx.array, ...]) -> None:
        shapes = [x.shape for x in inputs]
        ndim = len(shapes[0])
        if not -ndim <= self.axis < ndim:
            raise self.wrong(f"inputs with an axis {self.axis}", shapes)
        rest = {(*shape[: self.axis % ndim], *shape[self.axis % ndim + 1 :]) for shape in shapes}
        if len(rest) > 1 or len({len(shape) for shape in shapes}) > 1:
            raise self.wrong(f"shapes that are equal but for axis {self.axis}", shapes)


class Stack(Module):
    """z = the inputs side by side along a new axis. Each input gets its own slice of dz.

    Args:
        axis: where the new axis stands; 0 by default.

    >>> Stack(axis=1)(mx.zeros((2, 3)), mx.zeros((2, 3))).shape
    (2, 2, 3)
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def settings(self) -> str:
        return f"axis={self.axis}"

    def forward(self, *inputs: mx.array) -> mx.array:
        if len({x.shape for x in inputs}) > 1:
            raise self.wrong("inputs of equal shapes", [x.shape for x in inputs])
        self.saved = len(inputs)
        return mx.stack(list(inputs), axis=self.axis)

    def backward(self, grad_output: mx.array) -> tuple[mx.array, ...]:
        count = self.saved
        return tuple(mx.take(grad_output, index, axis=self.axis) for index in range(count))


class ForEachSample(Module):
    """y = x once for each sample of a batch: what all samples share, such as a learned token. dx = Σ dy.

    Inputs: x (1, ...), and the batch, of which only the number of samples counts, so that its gradient is 0.

    Shapes: (1, ...), (N, ...) -> (N, ...).

    >>> layer = ForEachSample()
    >>> layer(mx.array([[1.0, 2.0]]), mx.zeros((3, 5))).tolist()
    [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]
    >>> layer.backward(mx.ones((3, 2)))[0].tolist()
    [[3.0, 3.0]]
    """

    def forward(self, x: mx.array, batch: mx.array) -> mx.array:
        if x.ndim < 1 or x.shape[0] != 1 or batch.ndim < 1:
            raise self.wrong("one sample (1, ...) and a batch (N, ...)", (x.shape, batch.shape))
        self.saved = batch.shape, batch.dtype
        return mx.broadcast_to(x, (batch.shape[0], *x.shape[1:]))

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        shape, dtype = self.saved
        return total(grad_output, axis=0)[None], mx.zeros(shape, dtype)


class Split(Module):
    """Cut x into pieces along ``axis``: a layer with several outputs. dx = the gradients of the pieces, joined.

    Args:
        sections: how many equal pieces, or the list of indices at which to cut.
        axis: 0 by default.

    >>> halves = Split(2, axis=1)
    >>> a, b = halves(mx.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> a.tolist(), b.tolist(), halves.backward((a, 10 * b)).tolist()
    ([[1.0, 2.0]], [[3.0, 4.0]], [[1.0, 2.0, 30.0, 40.0]])
    """

    def __init__(self, sections: int | Sequence[int], axis: int = 0) -> None:
        if not isinstance(sections, Sequence):
            whole("Split", sections=sections)
        for cut in sections if isinstance(sections, Sequence) else ():
            whole("Split", 0, **{"every index in sections": cut})
        self.sections = sections if isinstance(sections, int) else tuple(sections)
        self.axis = axis
        self.output_count = sections if isinstance(sections, int) else len(sections) + 1

    def settings(self) -> str:
        return f"{self.sections}, axis={self.axis}"

    def forward(self, x: mx.array) -> tuple[mx.array, ...]:
        if not -x.ndim <= self.axis < x.ndim:
            raise self.wrong(f"an input with an axis {self.axis}", x)
        if isinstance(self.sections, int) and x.shape[self.axis] % self.sections:
            raise self.wrong(f"a length of axis {self.axis} that {self.sections} divides", x)
        self.saved = ()
        sections = self.sections if isinstance(self.sections, int) else list(self.sections)
        return tuple(mx.split(x, sections, axis=self.axis))

    def backward(self, grad_output: tuple[mx.array, ...]) -> mx.array:
        return mx.concatenate(list(grad_output), axis=self.axis)


class Where(Module):
    """z = x where the condition holds, else y, broadcast. dx = dz where it holds, dy = dz where it does not.

    The condition itself gets no gradient: a small change of it changes nothing.

    >>> choose = Where()
    >>> choose(mx.array([True, False]), mx.array([1.0, 2.0]), mx.array([3.0, 4.0])).tolist()
    [1.0, 4.0]
    >>> choose.backward(mx.array([5.0, 6.0]))[1].tolist()
    [5.0, 0.0]
    """

    def forward(self, condition: mx.array, x: mx.array, y: mx.array) -> mx.array:
        self.saved = condition, shape_of(x), shape_of(y)
        return mx.where(condition, x, y)

    def backward(self, grad_output: mx.array) -> tuple[None, mx.array, mx.array]:
        condition, x_shape, y_shape = self.saved
        grad_x, grad_y = mx.where(condition, grad_output, 0), mx.where(condition, 0, grad_output)
        return None, unbroadcast(grad_x, x_shape), unbroadcast(grad_y, y_shape)


class Maximum(Module):
    """z = max(x, y) element by element, broadcast. dz goes to the larger one; equal ones share it, as in PyTorch."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = x, y
        return mx.maximum(x, y)

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, y = self.saved
        return _to_the_winner(grad_output, x, y, x > y)


class Minimum(Module):
    """z = min(x, y) element by element, broadcast. dz goes to the smaller one; equal ones share it, as in PyTorch."""

    def forward(self, x: mx.array, y: mx.array) -> mx.array:
        self.saved = x, y
        return mx.minimum(x, y)

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, y = self.saved
        return _to_the_winner(grad_output, x, y, x < y)


def _to_the_winner(grad: mx.array, x: Any, y: Any, x_wins: mx.array) -> tuple[mx.array, mx.array]:
    grad_x = mx.where(x_wins, grad, mx.where(x == y, grad / 2, 0))
    return unbroadcast(grad_x, shape_of(x)), unbroadcast(grad - grad_x, shape_of(y))


# -------------------------------------------------------------------- the same as functions, for arrays and nodes


@called_here(dim="axis")
def concatenate(inputs: Sequence[Any], axis: int = 0) -> Any:
    """The arrays or nodes one after the other along ``axis``; a node if any of them is one.

    >>> concatenate([mx.zeros((2, 3)), mx.zeros((4, 3))]).shape
    (6, 3)
    """
    return Concatenate(axis)(*_several(inputs, "concatenate"))


@called_here(dim="axis")
def stack(inputs: Sequence[Any], axis: int = 0) -> Any:
    """The arrays or nodes, all of one shape, side by side along a new axis.

    >>> stack([mx.zeros((3,)), mx.zeros((3,))]).shape
    (2, 3)
    """
    return Stack(axis)(*_several(inputs, "stack"))


@called_here(dim="axis")
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> tuple[Any, ...]:
    """The pieces of an array or node: ``sections`` equal ones, or cut at a list of indices.

    >>> [piece.shape for piece in split(mx.zeros((5, 2)), [1, 3])]
    [(1, 2), (2, 2), (2, 2)]
    """
    pieces = Split(sections, axis)(x)
    return as_tuple(pieces)


def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where the condition holds, else ``y``; arrays or nodes, broadcast.

    >>> where(mx.array([True, False]), mx.array([1.0, 2.0]), 0.0).tolist()
    [1.0, 0.0]
    """
    return Where()(condition, x, y)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two arrays or nodes, element by element.

    >>> maximum(mx.array([1.0, 5.0]), 3.0).tolist()
    [3.0, 5.0]
    """
    return Maximum()(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two arrays or nodes, element by element.

    >>> minimum(mx.array([1.0, 5.0]), 3.0).tolist()
    [1.0, 3.0]
    """
    return Minimum()(x, y)


def _several(inputs: Sequence[Any], where: str) -> Sequence[Any]:
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise TypeError(f"{where}: expected a list of arrays or nodes, got {inputs!r}")
    return inputs


teach(Expression, maximum, minimum)
