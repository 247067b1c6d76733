"""Cells: the places where values live. A training step is a function from cell values to cell values."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import mlx.core as mx

from ..backend.streams import Farewell
from .arrays import as_array
from .expression import Expression


class _Empty:
    """Marks a ``saved`` slot that holds nothing."""

    def __repr__(self) -> str:
        return "<nothing saved>"

    def __reduce__(self) -> str:
        return "EMPTY"  # a copy is the same object


EMPTY = _Empty()


class _ThisThread(threading.local):
    """``collected`` are the cells made under ``started_together`` in the thread that asks; None outside of it."""

    collected: list[Buffer] | None = None

    def __init__(self) -> None:
        self.farewell = Farewell()


_this_thread = _ThisThread()


def started(array: mx.array) -> mx.array:
    """The array, with its computation under way, which MLX leaves to the thread that described it.

    Another thread could not even ask for it: "There is no Stream(cpu, 0) in current thread".
    """
    if _this_thread.collected is None:
        mx.async_eval(array)
    return array


@contextmanager
def started_together() -> Iterator[None]:
    """Start the cells made inside at the end, all at once: a value that was replaced by then is never computed."""
    before, _this_thread.collected = _this_thread.collected, []
    try:
        yield
    finally:
        cells, _this_thread.collected = _this_thread.collected, before
        if before is None:
            mx.async_eval(values_of(cells))
        else:
            before.extend(cells)


class Buffer:
    """An array that belongs to a module or an optimizer but is not learned: running statistics, a momentum, a rate.

    Its computation starts at once (see ``started``), so that any thread can use it.

    Args:
        value: the array (or anything ``mx.array`` accepts). Later values must have the same shape.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = as_array(value)
        if _this_thread.collected is None:
            started(self._value)
        else:
            _this_thread.collected.append(self)

    @property
    def value(self) -> mx.array:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        value = value if type(value) is mx.array else as_array(value, where=type(self).__name__)
        if value.dtype != self._value.dtype and mx.issubdtype(value.dtype, mx.integer):
            value = value.astype(self._value.dtype)  # as whole numbers, what is learned would be cut off
        if value.shape != self._value.shape:
            raise ValueError(f"{type(self).__name__}: expected a value of shape {self._value.shape}, got {value.shape}")
        self._value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def size(self) -> int:
        return self._value.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={str(self._value.dtype).split('.')[-1]})"


class User(Protocol):
    """What a parameter knows of the optimizer that has used its gradient."""

    def gradients_not_zeroed(self) -> None:
        """Another backward adds to a gradient that a step has already used."""


class Parameter(Expression, Buffer):
    """An array that is learned, and the gradient of the loss with respect to it.

    ``value`` and ``grad`` always have the same shape. ``grad`` is None before the first backward and after
    ``zero_grad``; every backward adds to it. A frozen parameter (``trainable = False``) receives no gradient.

    A model that only composes may use its parameters in its forward, ``x @ self.table + self.shift``: there they are
    recorded as nodes (parts.py) and receive their gradients. Anywhere else such an expression is an array.

    >>> p = Parameter(mx.zeros((2, 3)))
    >>> p.accumulate(mx.ones((2, 3)))
    >>> p.accumulate(mx.ones((2, 3)))
    >>> p.grad.tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """

    __slots__ = ("grad", "trainable", "used_by")

    def __init__(self, value: Any, trainable: bool = True) -> None:
        value = as_array(value)
        super().__init__(value if mx.issubdtype(value.dtype, mx.inexact) else value.astype(mx.float32))
        self.grad: mx.array | None = None
        self.trainable = trainable
        self.used_by: User | None = None  # the optimizer that has made a step with this gradient

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True  # whatever its numbers are: ``if self.bias`` asks whether there is one

    def accumulate(self, grad: mx.array) -> None:
        """Add ``grad`` to the gradient; called by a layer's ``backward``, once for every use of the parameter."""
        if not self.trainable:
            return
        if grad.shape != self._value.shape:
            hint = " (transposed?)" if grad.shape == self._value.shape[::-1] else ""
            raise ValueError(f"Parameter: expected a gradient of shape {self._value.shape}, got {grad.shape}{hint}")
        if self.grad is None:
            self.grad = grad
        else:
            if self.used_by is not None:
                self.used_by.gradients_not_zeroed()
            self.grad = self.grad + grad
        self.used_by = None

    if TYPE_CHECKING:  # taught by parts.py
        dtype: mx.Dtype
        ndim: int

        def node(self) -> Any: ...
        def operand(self) -> Any: ...
        def __mlx_array__(self) -> mx.array: ...
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any: ...
        def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any: ...


def values_of(cells: Iterable[Buffer]) -> list[mx.array]:
    """The values of many cells, in order. Arrays never change, so this is a snapshot, and a cheap one."""
    return [cell._value for cell in cells]


def put_values(cells: Iterable[Buffer], values: Iterable[mx.array]) -> None:
    """Put values into many cells, in order: those of ``values_of``, or their successors. Shapes are not looked at."""
    for cell, value in zip(cells, values):
        cell._value = value
