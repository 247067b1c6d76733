"""What a compiled step was traced with: everything that decides how it computes, apart from the values in its cells.

A trace freezes each setting that it meets: a rate of Dropout, a momentum, which parameters are frozen. Two fingerprints
that are equal mean that the same trace is right again.
"""

from __future__ import annotations

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
        self._settings: list[Any] = []
        self._held: dict[int, Any] = {}
        for thing in things:
            self._add(thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self._settings == other._settings

    __hash__ = None  # type: ignore[assignment]

    def _add(self, value: Any) -> None:
        if value is None or isinstance(value, (bool, int, float, str)):
            self._settings += type(value), value
        elif isinstance(value, (list, tuple)):
            self._settings.append(len(value))
            for item in value:
                self._add(item)
        elif isinstance(value, dict):
            self._settings.append(len(value))
            for key, item in value.items():
                self._add(key)
                self._add(item)
        else:
            self._add_object(value)

    def _add_object(self, value: Any) -> None:
        self._settings.append(id(value))
        if id(value) in self._held:
            return
        self._held[id(value)] = value
        if isinstance(value, Buffer):
            self._settings += value.value.shape, value.value.dtype, isinstance(value, Parameter) and value.trainable
        elif isinstance(value, (Module, Optimizer, Group)):
            cls = type(value)
            self._settings.append(cls)
            for name, setting in vars(value).items():
                momentary = name.startswith("_") and hasattr(cls, name)  # such as what forward saved
                if name not in PASSING and not momentary:
                    self._settings.append(name)
                    self._add(setting)
        elif isinstance(value, Node):
            self._add(value.module)
