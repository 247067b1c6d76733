"""The update of a model so large that its weights should not be in memory twice: array by array, in place.

MLX computes an element-wise result in the memory of an argument that nobody else holds. So weights and state are given
up one after the other, and their new values take their place. Where somebody does hold the old ones, they stay as they
are, at the price of their memory.

A step that fails must leave everything as it was, and nothing brings back a value that was written over. So the whole
update is first computed in pieces, which are looked at and thrown away, and only then made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import mlx.core as mx

from ..core.cells import Buffer, put_values, values_of
from ..core.finite import all_finite
from ..optimizers.base import Optimizer
from .fingerprint import users

PIECE = 2**20  # numbers to look at together: they stay in the cache of a core


class UpdateInPlace:
    """What an optimizer does to its parameters, one after the other.

    Args:
        optimizer: whose rule it is. Ours change every number by itself and are compiled: each result is one operation,
            which needs no array for what lies between. Of a user's nothing is known.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.whole = optimizer, users(optimizer)
        wrap: Callable[..., Any] = partial if self.whole else mx.compile
        places = range(len(optimizer.parameters))
        self.signs = [wrap(partial(self._sign, place)) for place in places]
        self.results = [  # each by itself, as only an operation with a single result can take place in place
            [wrap(partial(self._result, place, number)) for number in range(len(optimizer.cells_of(place)))]
            for place in places
        ]
        self.moving: list[int] = []  # the parameters that a step changes, by their places
        self.waiting: list[tuple[int, mx.array]] = []  # those that are still to change, with their gradients
        self.failed = False  # whether the last step would have left a number that is not finite

    def due(self) -> list[mx.array]:
        """The gradients of the parameters that are to move, accumulated and clipped."""
        due = self.optimizer.due_gradients()
        self.moving = [place for place, _ in due]
        return [grad for _, grad in due]

    def look(self, value: mx.array, grads: list[mx.array]) -> None:
        """See if the loss is finite, and what the gradients would leave; ``make`` follows unless it ``failed``."""
        self.waiting = list(zip(self.moving, grads))
        self.failed = not all_finite([value]) or not all(
            all_finite(self.signs[place](*self._given(place, grad, rows)))
            for place, grad in self.waiting
            for rows in self._rows(grad)
        )
        if self.failed:
            self.waiting = []

    def make(self) -> None:
        """Change the parameters and their state, and forget the gradients.

        An interrupt does not leave half of them changed: the rest follows before it goes on its way.
        """
        try:
            while self.waiting:
                self._change(*self.waiting.pop(0))
        finally:
            while self.waiting:
                self._change(*self.waiting.pop(0))

    def _change(self, place: int, grad: mx.array) -> None:
        """Change one parameter and its state; each waits for the one before to be written."""
        values, grad = self._given(place, grad)
        new = [result(values, grad) for result in self.results[place]]
        del values, grad
        put_values(self.optimizer.cells_of(place), new)
        for array in new:
            mx.eval(array)

    def _given(self, place: int, grad: mx.array, rows: slice = slice(None)) -> tuple[list[mx.array], mx.array]:
        """What a rule starts from: a parameter, its state, the rates, and a gradient; or some of their rows."""
        values = [v[rows] if v.shape == grad.shape and v.ndim else v for v in values_of(self._read_by(place))]
        return values, grad[rows] if grad.ndim else grad

    def _rule(self, place: int, values: list[mx.array], grad: mx.array) -> list[mx.array]:
        """The pure function: a parameter, its state, the rates and a gradient in, new parameter and state out."""
        cells = self._read_by(place)
        before = values_of(cells)
        try:
            put_values(cells, values)
            return self.optimizer.moved(place, grad)
        finally:
            put_values(cells, before)

    def _sign(self, place: int, values: list[mx.array], grad: mx.array) -> list[mx.array]:
        """What is finite if all results are: of ours, which have one shape, a single array, the sum of 0 · result."""
        results = self._rule(place, values, grad)
        return results if self.whole else [sum((0 * result for result in results[1:]), 0 * results[0])]

    def _result(self, place: int, number: int, values: list[mx.array], grad: mx.array) -> mx.array:
        return self._rule(place, values, grad)[number]

    def _read_by(self, place: int) -> list[Buffer]:
        return [*self.optimizer.cells_of(place), *self.optimizer.scalars()]

    def _rows(self, grad: mx.array) -> Iterator[slice]:
        """The rows of an array in pieces, if they may be looked at apart."""
        if self.whole or grad.size <= PIECE:
            yield slice(None)
            return
        count = max(1, PIECE * len(grad) // grad.size)
        yield from (slice(start, start + count) for start in range(0, len(grad), count))
