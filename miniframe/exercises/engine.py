"""Lesson 3: a scalar engine, written by the learner."""

from __future__ import annotations

import math
from typing import Any

from .calls import as_number, found
from .exercise import Namespace, Wrong, exercise


@exercise(
    "3.4",
    "A scalar engine in sixty lines",
    '''
A number that remembers where it came from, so that it can go back:

    x, y = Value(2.0), Value(-3.0)
    f = x * y + x.tanh()
    f.backward()               # then x.grad is df/dx, and y.grad is df/dy

It needs +, *, tanh(), also with plain numbers on either side, .data and .grad (0.0 at first). Gradients add up where a
value is used more than once. ``backward`` visits every value once, after all that was computed from it.
"""

import math


class Value:
    def __init__(self, data, inputs=()):
        self.data, self.grad, self.inputs = data, 0.0, inputs

    raise NotImplementedError("your turn: +, *, tanh and backward")
''',
    points=4,
    forbidden=("Variable", "Node"),
)
def engine(names: Namespace) -> None:
    Value = found(names, "Value")

    def grads(function: Any, *numbers: float) -> tuple[float, list[float]]:
        values = [Value(number) for number in numbers]
        result = function(*values)
        if not hasattr(result, "data"):
            raise Wrong(f"An operation on Values should give a Value, not {type(result).__name__}.")
        result.backward()
        return as_number(result.data), [as_number(value.grad) for value in values]

    cases = [
        ("x + y", lambda x, y: x + y, [1.0, 1.0]),
        ("x * y", lambda x, y: x * y, [-3.0, 2.0]),
        ("tanh(x) + y", lambda x, y: x.tanh() + y, [1 - math.tanh(2.0) ** 2, 1.0]),
        ("x * 3 + y", lambda x, y: x * 3 + y, [3.0, 1.0]),
        ("3 * x + (1 + y)", lambda x, y: 3 * x + (1 + y), [3.0, 1.0]),
        ("x + x + y", lambda x, y: x + x + y, [2.0, 1.0]),
        ("x * x * y", lambda x, y: x * x * y, [-12.0, 4.0]),
        ("s = x * y; s * s + s", _twice, [33.0, -22.0]),
        ("h = tanh(x + y), h * x + h * y", _shared, None),
    ]
    for words, function, right in cases:
        _, found_grads = grads(function, 2.0, -3.0)
        expected = right if right is not None else _by_differences(function)
        if not all(abs(a - b) < 1e-4 for a, b in zip(found_grads, expected)):
            told = f"For f = {words} at x = 2, y = -3 you get the gradients {found_grads}. "
            if "x + x" in words or "x * x" in words:
                raise Wrong(told + "x is used twice: its gradient is the sum over both uses.")
            if "s" in words.split(";")[0].split("=")[0]:
                raise Wrong(told + "Is a value visited before all that was computed from it has been? Sort them first.")
            raise Wrong(told)
    x = Value(0.3)
    chain = x
    for _ in range(40):
        chain = chain + chain * 0.01
    chain.backward()
    if abs(as_number(x.grad) - 1.01**40) > 1e-6:
        raise Wrong("In a long chain, where every value is used twice, the gradient is wrong. Visit each value once.")


def _twice(x: Any, y: Any) -> Any:
    s = x * y
    return s * s + s


def _shared(x: Any, y: Any) -> Any:
    h = (x + y).tanh()
    return h * x + h * y


def _by_differences(function: Any, h: float = 1e-6) -> list[float]:
    """The slopes of the same function, of plain numbers."""

    class Plain(float):
        def tanh(self) -> Plain:
            return Plain(math.tanh(self))

        def __add__(self, other: float) -> Plain:
            return Plain(float(self) + float(other))

        def __mul__(self, other: float) -> Plain:
            return Plain(float(self) * float(other))

    at = (2.0, -3.0)
    slopes = []
    for place in range(2):
        ends = [[v + sign * h * (place == i) for i, v in enumerate(at)] for sign in (1, -1)]
        up, down = (float(function(*map(Plain, end))) for end in ends)
        slopes.append((up - down) / (2 * h))
    return slopes
