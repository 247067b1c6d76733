"""Tap: a place between two layers where what flows by, either way, can be read, masked, scaled or replaced."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from ..core.module import Module

Map = Callable[[mx.array], mx.array | None]


class Tap(Module):
    """The identity, unless a function of yours returns something else.

        y = forward(x)        dx = backward(dy)

    Each of the two maps may return an array of the same shape, which replaces what flows by, or None, which leaves it
    alone. They are independent: the derivative of ``forward`` is not taken, so a tap that doubles the activation and
    should have a true gradient doubles the gradient too.

    Args:
        forward: given the activation; None for the identity.
        backward: given the gradient; None for the identity.

    Insert and remove taps by name: ``model.insert("conv1", Tap(...), name="mask")``, ``model.remove("mask")``, on a
    Sequential or a Graph. In a compiled ``fit`` the functions run once, while the step is traced; to read values in
    every step use ``compile=False``.

    >>> from miniframe import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> shapes = []
    >>> model = model.insert("0", Tap(forward=lambda x: shapes.append(x.shape)), name="look")
    >>> y = model(mx.zeros((5, 2)))
    >>> shapes, list(model.layers)
    ([(5, 3)], ['0', 'look', '1', '2'])
    """

    def __init__(self, forward: Map | None = None, backward: Map | None = None) -> None:
        for function in (forward, backward):
            if function is not None and not callable(function):
                raise TypeError(f"Tap: expected functions of one array, got {function!r}")
        self.on_forward, self.on_backward = forward, backward

    def settings(self) -> str:
        used = {"forward": self.on_forward, "backward": self.on_backward}
        return ", ".join(name for name, function in used.items() if function is not None)

    def forward(self, x: mx.array) -> mx.array:
        self.saved = ()
        return self.through(self.on_forward, x)

    def backward(self, grad_output: mx.array) -> mx.array:
        return self.through(self.on_backward, grad_output)

    def through(self, function: Map | None, x: mx.array) -> mx.array:
        y = None if function is None else function(x)
        if y is None:
            return x
        if not isinstance(y, mx.array) or y.shape != x.shape:
            raise self.wrong(f"its function to return None or an array {x.shape}", y)
        return y
