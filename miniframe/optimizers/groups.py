"""Groups of parameters with settings of their own, and the cells for numbers that change from step to step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mlx.core as mx

from ..core.cells import Buffer, Parameter
from ..core.checks import is_real, real, shown
from ..core.module import Module

Schedule = Callable[[int], float]
Parameters = Module | Iterable[Parameter | Mapping[str, Any]]


class Group:
    """Parameters that share a learning rate and a weight decay.

    Attributes:
        parameters: the parameters.
        lr: a number or a schedule; assign it at any time.
        weight_decay: pull towards 0.
        rate: the cell with the rate of the current step.
    """

    def __init__(self, parameters: list[Parameter], lr: float | Schedule, weight_decay: float, where: str) -> None:
        self.parameters, self.where = parameters, where
        self.lr, self.weight_decay = lr, weight_decay
        self.rate = Scalar(0.0)

    @property
    def lr(self) -> float | Schedule:
        return self._lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        if not callable(lr):
            if not is_real(lr):
                raise ValueError(f"{self.where}: expected a learning rate or a schedule as lr, got {shown(lr)}")
            lr = float(lr)
            if not lr >= 0:
                raise ValueError(f"{self.where}: expected a learning rate >= 0, got {lr}")
        self._lr = lr

    def lr_at(self, iteration: int) -> float:
        """The learning rate after this many steps."""
        return self._lr(iteration) if callable(self._lr) else self._lr


class Scalar(Buffer):
    """A cell for one number that Python sets and compiled steps read; the same number is made an array only once."""

    __slots__ = ("_number", "_array")

    def __init__(self, number: float) -> None:
        super().__init__(mx.array(number, dtype=mx.float32))
        self._number, self._array = number, self._value

    def set(self, number: float) -> None:
        """Hold ``number``."""
        if number != self._number:
            self._number, self._array = number, mx.array(number, dtype=mx.float32)
        self._value = self._array


def at_least_0(name: str, **options: float) -> None:
    """Raise a ValueError that names the first option below 0 (or NaN, or no number)."""
    real(name, least=0, **options)


def explain_arguments(cls: type) -> None:
    """Let an optimizer say what to write where its arguments miss the model, or the learning rate by its name here."""
    if "__init__" not in vars(cls):
        return
    plain = vars(cls)["__init__"]
    signature = inspect.signature(plain)

    @functools.wraps(plain)
    def __init__(self: Any, *given: Any, **options: Any) -> None:
        name = type(self).__name__
        if "learning_rate" in options and "learning_rate" not in signature.parameters:
            raise TypeError(f"{name}: learning_rate is called lr here; {_remedy(name)}")
        known = _arguments(type(self))
        for option in options:
            if option not in known:
                raise TypeError(f"{name}: unknown argument {option!r}; known: {', '.join(known)}")
        try:
            signature.bind(self, *given, **options)
        except TypeError as error:
            raise TypeError(f"{name}: {error}; {_remedy(name)}") from None
        plain(self, *given, **options)

    cls.__init__ = __init__  # type: ignore[misc]


def _arguments(cls: type) -> dict[str, None]:
    """The names of all arguments that an optimizer, or what it is built on, takes."""
    found: dict[str, None] = {}
    for base in cls.__mro__[:-1]:
        if "__init__" in vars(base):
            _, *arguments = inspect.signature(vars(base)["__init__"]).parameters.values()
            found.update({one.name: None for one in arguments if one.kind is not one.VAR_KEYWORD})
    return found


def _remedy(name: str) -> str:
    return f"write {name}(model, lr=0.01)"


def make_groups(model: Parameters, lr: float | Schedule, weight_decay: float, name: str) -> list[Group]:
    """The groups that a user described, each parameter in exactly one."""
    if not isinstance(model, (Module, Iterable)):
        what = "a model, whose parameters it will change"
        raise TypeError(f"{name}: expected {what}, got {shown(model)}; {_remedy(name)}")
    items: list[Any] = [model] if isinstance(model, Module) else list(model)
    if not any(isinstance(item, Mapping) for item in items):
        items = [{"params": model if isinstance(model, Module) else items}]
    groups, seen = [], set()
    for item in items:
        if not isinstance(item, Mapping) or "params" not in item or set(item) - {"params", "lr", "weight_decay"}:
            got = f"the keys {sorted(item)}" if isinstance(item, Mapping) else type(item).__name__
            raise ValueError(f"{name}: expected groups {{'params': ..., 'lr': ..., 'weight_decay': ...}}, got {got}")
        chosen = item["params"]
        parameters = list(chosen.parameters() if isinstance(chosen, Module) else chosen)
        if not parameters:
            raise ValueError(f"{name}: expected parameters to optimize, got none")
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{name}: expected parameters, got {type(parameter).__name__}")
            if id(parameter) in seen:
                raise ValueError(f"{name}: a parameter of shape {parameter.shape} was given twice")
            seen.add(id(parameter))
        decay = item.get("weight_decay", weight_decay)
        at_least_0(name, weight_decay=decay)
        groups.append(Group(parameters, item.get("lr", lr), decay, name))
    return groups
