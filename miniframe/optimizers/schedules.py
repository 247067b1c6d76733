"""Schedules: the learning rate as a function of the number of steps taken.

An optimizer takes any such function; these are the usual ones. They are pure functions, so nothing about them has to
be saved, and they can be pickled: each is a function of this file with its settings filled in. A step is one batch: for
a number of epochs write ``epochs * len(x) // batch_size``.

    lr = schedules.cosine(0.1, steps=900)                      one piece
    lr = schedules.linear(0, 0.1, 100).then(lr, after=100)     pieces after each other: warmup, then the cosine
    lr = lr * schedules.exponential(1.0, 0.999)                products, also with numbers
    lr.plot(1000)                                              a picture, which needs matplotlib
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for the verb at the end of Schedule
    from ..plots import training as _plots


class Schedule:
    """A function from the number of steps taken (0, 1, ...) to the learning rate of the next one.

    Args:
        function: any such function; calling the schedule calls it.
        name: how the schedule prints.

    >>> halves = Schedule(lambda step: 0.1 / (1 + step), "0.1 / (1 + step)")
    >>> halves(0), halves(1), halves
    (0.1, 0.05, 0.1 / (1 + step))
    """

    def __init__(self, function: Callable[[int], float], name: str = "") -> None:
        if not callable(function):
            raise TypeError(f"Schedule: expected a function of the number of steps, got {function!r}")
        self.function = function
        self.name = name or getattr(function, "__name__", repr(function))

    def __call__(self, step: int) -> float:
        return float(self.function(step))

    def then(self, following: float | Callable[[int], float], after: int) -> Schedule:
        """This schedule for ``after`` steps, then the following one (or a constant), which counts from 0 again.

        >>> warm = linear(0.0, 1.0, steps=4).then(0.5, after=4)
        >>> [warm(step) for step in range(6)]
        [0.0, 0.25, 0.5, 0.75, 0.5, 0.5]
        """
        _at_least("then", 0, after=after)
        following = _schedule(following)
        return Schedule(partial(_then, self, following, after), f"{self}.then({following}, {after})")

    def __mul__(self, factor: float | Callable[[int], float]) -> Schedule:
        factor = _schedule(factor)
        return Schedule(partial(_product, self, factor), f"{self} * {factor}")

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return self.name

    if TYPE_CHECKING:  # taught by the file that draws it
        plot = _plots.plot


def constant(lr: float) -> Schedule:
    """Always the same rate: lr.

    >>> constant(0.1)(1000)
    0.1
    """
    return Schedule(partial(_constant, lr), f"{lr:g}")


def _constant(lr: float, t: int) -> float:
    return lr


def step(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """A staircase: lr · factor^⌊t / every⌋.

    >>> stairs = step(1.0, every=10, factor=0.5)
    >>> stairs(9), stairs(10), stairs(25)
    (1.0, 0.5, 0.25)
    """
    _at_least("step", 1, every=every)
    return Schedule(partial(_step, lr, every, factor), f"step({lr:g}, every={every}, factor={factor:g})")


def _step(lr: float, every: int, factor: float, t: int) -> float:
    return float(lr * factor ** (t // every))


def exponential(lr: float, factor: float, every: int = 1) -> Schedule:
    """A smooth fall: lr · factor^(t / every).

    >>> exponential(1.0, factor=0.5, every=100)(200)
    0.25
    """
    _at_least("exponential", 1, every=every)
    return Schedule(partial(_exponential, lr, factor, every), f"exponential({lr:g}, {factor:g}, every={every})")


def _exponential(lr: float, factor: float, every: int, t: int) -> float:
    return float(lr * factor ** (t / every))


def linear(start: float, end: float, steps: int) -> Schedule:
    """A straight line from start to end in ``steps`` steps, then constant: start + (end - start) · min(t / steps, 1).

    >>> warmup = linear(0.0, 0.1, steps=100).then(cosine(0.1, steps=900), after=100)
    >>> warmup(50), warmup(100), warmup(1000)
    (0.05, 0.1, 0.0)
    """
    _at_least("linear", 1, steps=steps)
    return Schedule(partial(_linear, start, end, steps), f"linear({start:g}, {end:g}, {steps})")


def _linear(start: float, end: float, steps: int, t: int) -> float:
    return start + (end - start) * min(t / steps, 1)


def warmup(lr: float | Callable[[int], float], steps: int) -> Schedule:
    """Any schedule (or a number), its first steps scaled up from nothing: lr(t) · min((t + 1) / steps, 1).

    >>> [warmup(1.0, steps=4)(t) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    _at_least("warmup", 1, steps=steps)
    inner = _schedule(lr)
    return Schedule(partial(_warmup, inner, steps), f"warmup({inner}, {steps})")


def _warmup(lr: Schedule, steps: int, t: int) -> float:
    return lr(t) * min((t + 1) / steps, 1)


def cosine(lr: float, steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine from lr down to end (Loshchilov and Hutter, 2017), then constant.

    end + (lr - end) · (1 + cos(π · min(t / steps, 1))) / 2

    >>> round(cosine(0.2, steps=10)(5), 6)
    0.1
    """
    _at_least("cosine", 1, steps=steps)
    return Schedule(partial(_cosine, lr, steps, end), f"cosine({lr:g}, {steps}, end={end:g})")


def _cosine(lr: float, steps: int, end: float, t: int) -> float:
    return end + (lr - end) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2


def one_cycle(peak: float, steps: int, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Schedule:
    """Up to the peak and down again on two half cosines (Smith and Topin, 2018), over exactly ``steps`` steps.

    Args:
        peak: the highest rate.
        steps: of the whole training.
        rise: the fraction of them in which the rate rises.
        start, end: the first and the last rate, as fractions of the peak. The defaults are PyTorch's.

    >>> cycle = one_cycle(1.0, steps=100)
    >>> round(cycle(0), 6), max(range(100), key=cycle)
    (0.04, 29)
    """
    _at_least("one_cycle", 2, steps=steps)
    if not 0 < rise < 1:
        raise ValueError(f"one_cycle: expected 0 < rise < 1, got {rise}")
    return Schedule(partial(_one_cycle, peak, steps, rise, start, end), f"one_cycle({peak:g}, {steps})")


def _one_cycle(peak: float, steps: int, rise: float, start: float, end: float, t: int) -> float:
    top, last = rise * steps - 1, steps - 1
    if t <= top:
        return peak * _half_cosine(start, 1.0, t / top if top else 1.0)
    return peak * _half_cosine(1.0, end, min((t - top) / (last - top), 1.0))


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


def _then(first: Schedule, following: Schedule, after: int, t: int) -> float:
    return first(t) if t < after else following(t - after)


def _product(one: Schedule, other: Schedule, t: int) -> float:
    return one(t) * other(t)


def _schedule(value: float | Callable[[int], float]) -> Schedule:
    if isinstance(value, Schedule):
        return value
    return Schedule(value) if callable(value) else constant(value)


def _at_least(where: str, least: int, **numbers: int) -> None:
    for name, number in numbers.items():
        if number != int(number) or number < least:
            raise ValueError(f"{where}: expected {name} to be a whole number of at least {least}, got {number}")
