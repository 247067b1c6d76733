"""What a user's code in a step does besides computing: noticed at the first trace, because a trace runs it only once.

A forward may note down what it sees (``self.input = x``), count its calls, or draw random numbers from NumPy. The first
is harmless. The others would be frozen, the same in every step; such a step must not be compiled. So a step with a
user's code in it is traced twice, and what differs the second time would differ every time.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.module import Module
from .fingerprint import GENERATORS, Fingerprint, passing_names, users

Attribute = tuple[Any, str]  # an object and the name of one of its attributes


class Notebook:
    """The attributes in which a user's modules keep arrays while they compute.

    In a trace they come to hold tracers. ``written`` finds them, so that the step can return their values, too, and
    ``put`` puts those into the attributes: they are then as they would be without compilation.
    """

    def __init__(self, *models: Module) -> None:
        self.modules = [module for model in models for module in model.modules() if users(type(module))]
        self.forms: dict[str, Any] = {}

    def pages(self) -> dict[str, Any]:
        """The attributes that hold arrays, by the number of the module and the name."""
        return {
            f"{number} {name}": value
            for number, module in enumerate(self.modules)
            for name, value in vars(module).items()
            if name not in passing_names(type(module)) and any(True for _ in arrays_in(value))
        }

    def written(self, before: dict[str, Any]) -> dict[str, list[mx.array]]:
        """The arrays in the attributes that were assigned since then."""
        self.forms = {key: value for key, value in self.pages().items() if value is not before.get(key)}
        return {key: list(arrays_in(value)) for key, value in self.forms.items()}

    def put(self, written: dict[str, list[mx.array]]) -> None:
        """Assign computed arrays to the attributes that ``written`` found."""
        for key, arrays in written.items():
            number, name = key.split(" ", 1)
            vars(self.modules[int(number)])[name] = refilled(self.forms[key], iter(arrays))


def arrays_in(value: Any) -> Iterator[mx.array]:
    """The arrays in a value, looking into lists, tuples and dicts."""
    if isinstance(value, mx.array):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(item)


def refilled(value: Any, arrays: Iterator[mx.array]) -> Any:
    """The same value with other arrays in it."""
    if isinstance(value, mx.array):
        return next(arrays)
    if isinstance(value, dict):
        return {key: refilled(item, arrays) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(refilled(item, arrays) for item in value)
    return value


class Copies:
    """What can be changed in a user's objects, functions and containers, to be put back."""

    def __init__(self, settings: Fingerprint) -> None:
        self.outside = random.getstate(), np.random.get_state()
        self._back: list[Callable[[], Any]] = []
        for thing in settings.held.values():
            self._note(thing)

    def _note(self, thing: Any) -> None:
        if isinstance(thing, (list, dict, set)):
            self._back.append(partial(_put_into, thing, thing.copy()))
        elif isinstance(thing, GENERATORS):
            self._back.append(partial(_put_state, thing, pickle.loads(pickle.dumps(thing))))
        elif isinstance(thing, FunctionType) and users(thing):
            names = {name: thing.__globals__[name] for name in thing.__code__.co_names if name in thing.__globals__}
            self._back.append(partial(thing.__globals__.update, names))
            for cell in thing.__closure__ or ():
                if _filled(cell):
                    self._back.append(partial(setattr, cell, "cell_contents", cell.cell_contents))
        elif users(type(thing)) and hasattr(thing, "__dict__") and not isinstance(thing, type):
            self._back.append(partial(_put_into, vars(thing), dict(vars(thing))))

    def restore(self) -> None:
        """Put everything back; so, too, the state of NumPy's and Python's randomness."""
        for back in self._back:
            back()
        random.setstate(self.outside[0])
        np.random.set_state(self.outside[1])


def _put_into(thing: Any, copy: Any) -> None:
    if isinstance(thing, list):
        thing[:] = copy
    else:
        thing.clear()
        thing.update(copy)


def _put_state(generator: Any, copy: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = copy.bit_generator.state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(copy.get_state())
    else:
        generator.setstate(copy.getstate())


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


class Trial:
    """Runs a trace again, and says why what it computes cannot be compiled.

    Args:
        settings: with which the step is to be traced.
        look: gives the settings now.
    """

    def __init__(self, settings: Fingerprint, look: Callable[[], Fingerprint]) -> None:
        self.settings, self.look = settings, look
        self.copies = Copies(settings)
        self.passing: dict[Any, Any] = {}  # places that do not count, because every step writes before it reads

    def reason(self, trace: Callable[[], list[mx.array]]) -> str | None:
        """None if the step may be compiled; ``trace`` traces it, and returns what it computes."""
        first = trace()
        drew = self.drew(self.copies)
        after = self.look()
        changed = self.changes(self.settings, after)
        if any(isinstance(after.held.get(place), GENERATORS) for place in changed):
            return RANDOM
        for place in changed:
            if place not in after.owners:  # such as a list outside of the model; nobody can see it but the user
                self.passing[place] = after.held.get(place if isinstance(place, int) else place[0])
        attributes = [after.owners[place] for place in changed if place in after.owners and isinstance(place, tuple)]
        copies = Copies(after)
        if attributes and self._written_first(attributes, trace, first):
            return None if not (drew and self.drew(copies)) else RANDOM
        if attributes:
            copies.restore()
        second = trace()
        again = self.changes(after, self.look())
        if drew and self.drew(copies):
            return RANDOM
        for place in again:
            if place in after.owners:
                thing, name = after.owners[place]
                title = thing.title() if isinstance(thing, Module) else type(thing).__name__
                return f"{title} changes its attribute {name!r} in every step; keep what changes in a Buffer of arrays"
        return None if same(first, second) else DIFFERS

    def _written_first(self, attributes: list[Attribute], trace: Callable[[], Any], first: list[mx.array]) -> bool:
        """Whether the step computes the same with these attributes gone, and then has them again."""
        for thing, name in attributes:
            thing.__dict__.pop(name, None)
        try:
            second = trace()
        except Exception:  # it reads one of them
            return False
        if not all(name in vars(thing) for thing, name in attributes) or not same(first, second):
            return False
        after = self.look()
        gone = {(id(thing), name): thing for thing, name in attributes}
        changed = [place for place in self.changes(self.settings, after) if place in after.owners]
        if any((id(after.owners[place][0]), after.owners[place][1]) not in gone for place in changed):
            return False
        self.passing.update(gone)
        return True

    def changes(self, before: Fingerprint, after: Fingerprint) -> list[Any]:
        """The places where two sets of settings differ, except those that do not count."""
        places = [*before.settings, *(place for place in after.settings if place not in before.settings)]
        differ = [place for place in places if before.settings.get(place) != after.settings.get(place)]
        return [place for place in differ if place not in self.passing and not self._inside_passing(place, after)]

    def _inside_passing(self, place: Any, after: Fingerprint) -> bool:
        owner = after.owners.get(place)
        return owner is not None and (id(owner[0]), owner[1]) in self.passing

    def drew(self, copies: Copies) -> bool:
        """Whether Python's or NumPy's randomness has moved on since then; a source on its thread may also move it."""
        if not self.settings.draws:
            return False
        now = random.getstate(), np.random.get_state()
        return pickle.dumps(now) != pickle.dumps(copies.outside)


def same(first: list[mx.array], second: list[mx.array]) -> bool:
    """Whether two runs computed the same, bit for bit; NaN equals NaN."""
    return all(bool(mx.array_equal(a, b, equal_nan=mx.issubdtype(a.dtype, mx.inexact))) for a, b in zip(first, second))


RANDOM = "it draws from NumPy's or Python's randomness, of which a compiled step would repeat one draw; use mx.random"
DIFFERS = (
    "it computes something else every time; draw random numbers from mx.random, and keep what changes in a Buffer of "
    "arrays"
)
