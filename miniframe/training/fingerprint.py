"""What a compiled step was traced with: everything that decides how it computes, apart from the values in its cells.

A trace freezes each setting that it meets: a rate of Dropout, a momentum, a mode, which parameters are frozen, a number
that a user's function reads from outside. Two fingerprints that are equal mean that the same trace is right again.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Container, Iterator
from functools import cache
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer, Parameter
from ..core.module import Module
from ..core.node import Node
from ..graph.graph import Graph
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from ..optimizers.groups import Group

# what changes from step to step, or says nothing about the arithmetic, by the class that has it; the mode is looked at
# by itself, because it may come from the class
PASSING: dict[type, set[str]] = {
    Module: {
        "training",
        "_saved",
        "_looked_through",
        "_given_name",
        "_warned",
        "_evaluation",
        "_optimizer",
        "_last_step",
        "stop_training",
    },
    Loss: {"_looks"},
    Graph: {"_pass", "_program"},
    Optimizer: {"iterations", "_warned"},
    Group: {"_lr"},
}
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
SMALL = 2**20  # bytes of an array up to which its contents count; of a larger one, only which it is
NOT_USERS = {"miniframe", "builtins", *sys.stdlib_module_names} - {"__main__"}


class Fingerprint:
    """The settings of models, losses and optimizers, to be compared with ``==``.

    Plain values, small arrays and the contents of containers count by value; so does what a user's classes, objects and
    functions hold or read from outside. Cells and anything else count by identity, and are held, so that nothing new
    can take the place of what has been thrown away.

    Args:
        things: what to look at.
        leave_out: keys of ``settings`` that do not count.

    Attributes:
        settings: what was found, by place: the id of an object, or (id, name) for one of its attributes.
        held: every object that was looked into, by its id.
        own_code: whether any of it is a user's own code.
        draws: whether such code names the randomness of Python or NumPy.
        owners: the attribute of a user's object that a place belongs to, as (object, name), where there is one.

    >>> from miniframe import Dropout
    >>> layer = Dropout(0.5)
    >>> before = Fingerprint(layer)
    >>> layer.p = 0.2
    >>> before == Fingerprint(layer)
    False
    """

    def __init__(self, *things: Any, leave_out: Container[Any] = ()) -> None:
        self.settings: dict[Any, list[Any]] = {}
        self.held: dict[int, Any] = {}
        self.owners: dict[Any, tuple[Any, str]] = {}
        self.own_code = self.draws = False
        self._owner: tuple[Any, str] | None = None
        self._leave_out = leave_out
        self._here = self.settings[None] = []
        for thing in things:
            self._add(thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self.settings == other.settings

    __hash__ = None  # type: ignore[assignment]

    def _add(self, value: Any) -> None:
        if value is None or isinstance(value, (bool, int, float, str)):
            self._here += type(value), value
            return
        key = id(value)
        self._here.append(key)
        if key in self.held:
            return
        self.held[key] = value
        if isinstance(value, Buffer):
            self._here += value.value.shape, value.value.dtype, isinstance(value, Parameter) and value.trainable
        elif key not in self._leave_out:
            self._inside(key, value)

    def _inside(self, key: Any, value: Any) -> None:
        """What a value is made of, under a place of its own."""
        outside = self._here
        self._enter(key)
        if isinstance(value, (list, tuple)):
            for item in value:
                self._add(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._add(name)
                self._add(item)
        elif isinstance(value, (set, frozenset)):
            self._here.append(frozenset((type(item), item) for item in value))
        elif isinstance(value, Node):
            self._add(value.module)
        elif isinstance(value, (mx.array, np.ndarray, np.generic)):
            self._here.append(contents(value))
        elif isinstance(value, GENERATORS):
            self._here.append(pickle.dumps(value))
        elif isinstance(value, FunctionType):
            self._add_function(key, value)
        elif isinstance(value, (MethodType, staticmethod, classmethod)):
            self._add(getattr(value, "__self__", None))
            self._add(value.__func__)
        elif isinstance(value, property):
            self._add(value.fget)
        elif isinstance(value, type):
            self._add_class(key, value)
        elif isinstance(value, (Module, Optimizer, Group, SimpleNamespace)) or users(type(value)):
            self._add_attributes(key, value)
        self._here = outside

    def _enter(self, key: Any) -> None:
        self._here = self.settings[key] = []
        if self._owner is not None:
            self.owners[key] = self._owner

    def _add_attributes(self, key: int, value: Any) -> None:
        cls = type(value)
        passing, own = passing_names(cls), users(cls)
        self.own_code |= own
        self._here += cls, getattr(value, "training", None)
        for name, setting in getattr(value, "__dict__", {}).items():
            if name in passing or (own and (key, name) in self._leave_out):
                continue
            if own:  # a place for each, so that it can be told which one has changed
                before, self._owner = self._owner, (value, name)
                self._enter((key, name))
                self._add(setting)
                self._owner = before
            else:
                self._here.append(name)
                self._add(setting)
        if own:
            before, self._owner = self._owner, None
            self._enter((key, "__class__"))
            for base in cls.__mro__:
                self._add(base)
            self._owner = before

    def _add_class(self, key: int, cls: type) -> None:
        """The class attributes and methods of a user's class."""
        if users(cls):
            for name, setting in vars(cls).items():
                if not name.startswith("__") and (key, name) not in self._leave_out:
                    self._enter((key, name))
                    self._add(setting)

    def _add_function(self, key: int, function: FunctionType) -> None:
        """What a user's function reads from outside: defaults, enclosed variables, global names."""
        if not users(function):
            return
        self.own_code = True
        self.draws |= names_randomness(function)
        before, self._owner = self._owner, None
        self._add(function.__defaults__)
        self._add(function.__kwdefaults__)
        for name, value in read_from_outside(function):
            if (key, name) not in self._leave_out:
                self._enter((key, name))
                self._add(value)
        self._owner = before


def users(thing: Any) -> bool:
    """Whether a class or function is a user's own: not of Python, miniframe or any installed package."""
    return _is_users(str(thing.__module__).partition(".")[0])


@cache
def _is_users(package: str) -> bool:
    if package in NOT_USERS:
        return False
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def passing_names(cls: type) -> set[str]:
    """The attributes of a class's objects that do not count."""
    if cls not in _passing:
        _passing[cls] = set().union(*(names for owner, names in PASSING.items() if issubclass(cls, owner)))
    return _passing[cls]


_passing: WeakKeyDictionary[type, set[str]] = WeakKeyDictionary()


def read_from_outside(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """(name, value) for the variables that a function encloses, and for the global names in its code."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not filled yet
            continue
    names = _names_in(function.__code__)
    for name in names:
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name, value
            if isinstance(value, ModuleType) and _is_users(value.__name__.partition(".")[0]):
                yield from ((f"{name}.{inner}", vars(value)[inner]) for inner in names if inner in vars(value))


def names_randomness(function: FunctionType) -> bool:
    """Whether a function's code reads ``random``, ``np.random``, or what was imported from them."""
    values = dict(read_from_outside(function)).values()
    return (
        any(value in (random, np.random) for value in values if isinstance(value, ModuleType))
        or any(isinstance(getattr(value, "__self__", None), GENERATORS) for value in values)
        or (any(value is np for value in values) and "random" in _names_in(function.__code__))
    )


@cache
def _names_in(code: CodeType) -> list[str]:
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names_in(constant)]
    return [*code.co_names, *inner]


def contents(array: Any) -> Any:
    """What is in an array, in short; nothing for a large one, or one that stands for values in a trace."""
    if array.nbytes > SMALL:
        return array.shape
    try:
        data: Any = array.reshape(-1).view(mx.uint8) if isinstance(array, mx.array) else array.tobytes()
        return blake2b(bytes(data)).digest(), array.shape, str(array.dtype)
    except (RuntimeError, ValueError):
        return array.shape
