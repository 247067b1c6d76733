"""What a compiled step was traced with: everything that decides how it computes, apart from the values in its cells.

A trace freezes each setting that it meets: a rate of Dropout, a momentum, which parameters are frozen. Two fingerprints
that are equal mean that the same trace is right again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.cells import Buffer, Parameter
from ..core.module import Module
from ..core.node import Node
from ..optimizers.base import Optimizer
from ..optimizers.groups import Group

# what changes from step to step, or says nothing about the arithmetic; fit itself sets the mode
PASSING = {"training", "stop_training", "iterations", "_lr", "_warned"}


class Fingerprint:
    """The settings of models, losses and optimizers, to be compared with ``==``.

    Plain values count by value; cells, functions, arrays and anything else by identity. They are held, so that nothing
    new can take the place of what has been thrown away.

    >>> from miniframe import Dropout
    >>> layer = Dropout(0.5)
    >>> before = Fingerprint(layer)
    >>> layer.p = 0.2
    >>> before == Fingerprint(layer)
    False
    """

    def __init__(self, *things: Any) -> None:
        self._held: list[Any] = []
        self._seen: set[int] = set()
        self._settings = [setting for thing in things for setting in self._of(thing)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self._settings == other._settings

    __hash__ = None  # type: ignore[assignment]

    def _of(self, value: Any) -> Iterator[Any]:
        if value is None or isinstance(value, (bool, int, float, str)):
            yield type(value), value
        elif isinstance(value, (list, tuple)):
            yield len(value)
            for item in value:
                yield from self._of(item)
        elif isinstance(value, dict):
            yield len(value)
            for key, item in value.items():
                yield from self._of(key)
                yield from self._of(item)
        else:
            yield from self._of_object(value)

    def _of_object(self, value: Any) -> Iterator[Any]:
        yield id(value)
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._held.append(value)
        if isinstance(value, Buffer):
            yield value.value.shape, value.value.dtype, isinstance(value, Parameter) and value.trainable
        elif isinstance(value, (Module, Optimizer, Group)):
            yield id(type(value))
            for name, setting in vars(value).items():
                momentary = name.startswith("_") and hasattr(type(value), name)  # such as what forward saved
                if name not in PASSING and not momentary:
                    yield name
                    yield from self._of(setting)
        elif isinstance(value, Node):
            yield from self._of(value.module)
