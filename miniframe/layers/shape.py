"""Layers that only rearrange numbers: forward reshapes, backward reshapes back."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.checks import is_whole, shown
from ..core.expression import Axis, Expression, method
from ..core.module import Module
from ..core.teach import teach
from .arithmetic import ReshapeTo


class Flatten(Module):
    """(N, ...) -> (N, product of the rest), row by row.

    >>> Flatten()(mx.zeros((5, 28, 28, 1))).shape
    (5, 784)
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim < 2:
            raise self.wrong("input (batch, ...)", x)
        self.saved = x.shape
        return mx.flatten(x, start_axis=1)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)


class Reshape(Module):
    """(N, ...) -> (N, *shape): another shape for each sample; one entry may be -1, "what is left".

    Args:
        shape: of one sample, without the batch.

    >>> Reshape(4, -1)(mx.zeros((5, 12))).shape
    (5, 4, 3)
    """

    def __init__(self, *shape: int) -> None:
        if not shape or shape.count(-1) > 1 or not all(is_whole(size) and size >= -1 for size in shape):
            raise ValueError(f"Reshape: expected a sample shape with at most one -1, got {shown(shape)}")
        self.shape = shape

    def settings(self) -> str:
        return ", ".join(map(str, self.shape))

    def forward(self, x: mx.array) -> mx.array:
        known = 1
        for size in self.shape:
            known *= max(size, 1)
        per_sample = x.size // max(x.shape[0], 1) if x.ndim else 0
        if x.ndim < 1 or (per_sample % known if -1 in self.shape else per_sample != known):
            raise self.wrong(f"input (batch, ...) whose samples reshape to {self.shape}", x)
        self.saved = x.shape
        return x.reshape(x.shape[0], *self.shape)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)


@method("squeeze")
class Squeeze(Module):
    """z = x without axes of length 1. dx = dz with them.

    Args:
        axis: which of them, one or several; all by default.

    >>> Squeeze(1)(mx.zeros((5, 1, 3))).shape
    (5, 3)
    """

    def __init__(self, axis: Axis = None) -> None:
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)

    def settings(self) -> str:
        return "" if self.axis is None else str(self.axis)

    def forward(self, x: mx.array) -> mx.array:
        axes = () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis
        if not all(-x.ndim <= axis < x.ndim and x.shape[axis] == 1 for axis in axes):
            raise self.wrong("input whose axis has length 1", x)
        self.saved = x.shape
        return mx.squeeze(x) if self.axis is None else mx.squeeze(x, self.axis)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)


@method("unsqueeze")
class Unsqueeze(Module):
    """z = x with a new axis of length 1. dx = dz without it.

    Args:
        axis: where it stands in z; -1 for the end.

    >>> Unsqueeze(1)(mx.zeros((5, 3))).shape
    (5, 1, 3)
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def settings(self) -> str:
        return str(self.axis)

    def forward(self, x: mx.array) -> mx.array:
        if not -x.ndim - 1 <= self.axis <= x.ndim:
            raise self.wrong(f"input with room for an axis {self.axis}", x)
        self.saved = ()
        return mx.expand_dims(x, self.axis)

    def backward(self, grad_output: mx.array) -> mx.array:
        return mx.squeeze(grad_output, self.axis)


def flatten(x: Any, start_axis: int = 0) -> Any:
    """One axis in place of all from ``start_axis`` on; of all, by default, as in NumPy and PyTorch.

    ``x.flatten(1)`` keeps the batch, and is what the layer Flatten and ``mf.functional.flatten`` do.
    """
    return Flatten()(x) if start_axis == 1 else ReshapeTo((*x.shape[:start_axis], -1))(x)


teach(Expression, flatten)
