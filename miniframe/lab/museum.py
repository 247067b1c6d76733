"""Mistakes on purpose: the exhibits of the museum of wrong backwards, to be plugged in for a layer of a running model.

Each is a subclass of what it stands in for and gets one thing wrong, so it takes over a layer with its weights:
``model[2].__class__ = mf.lab.mistakes.Transposed``. Lesson 22 is the guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from ..core.arrays import is_floating, number
from ..core.cells import Parameter
from ..core.module import Module
from ..losses import CrossEntropyLoss
from ..losses.base import Loss
from ..optimizers import SGD, Adam, Optimizer
from . import mistakes

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam, uncounted": mistakes.Uncounted, "sgd, piling up": mistakes.PilingUp}


@dataclass(frozen=True)
class Exhibit:
    """One mistake.

    Attributes:
        made: the class that makes it.
        symptom: what one sees while it trains.
        check: what catches it.
    """

    made: type[Module]
    symptom: str
    check: str

    @property
    def name(self) -> str:
        return self.made.__name__

    @property
    def replaces(self) -> type[Module]:
        """The class that it stands in for."""
        return self.made.__mro__[1]

    @property
    def words(self) -> str:
        """What it does wrong."""
        return (self.made.__doc__ or "").strip()

    def suits(self, layer: Module) -> bool:
        """Whether it can take over this layer: the same class, and for Transposed a square weight."""
        fits = type(layer) is self.replaces or type(layer) is self.made
        if self.made in (mistakes.AlwaysBias, mistakes.NoBias):  # one needs a bias to forget, the other none
            fits = fits and (getattr(layer, "bias", None) is None) == (self.made is mistakes.AlwaysBias)
        return fits and (self.made is not mistakes.Transposed or layer.in_features == layer.out_features)  # type: ignore[attr-defined]


GRADIENT_CHECK, LOSS_CHECK = "any gradient check", "a gradient check of the loss"

EXHIBITS = [
    Exhibit(mistakes.Transposed, "it learns a little, as biases and other layers still work", GRADIENT_CHECK),
    Exhibit(mistakes.Forgetful, "none, until a layer is used twice", "backward called twice: gradients have to add up"),
    Exhibit(mistakes.SumForMean, "steps far too large, or a learning rate that has to be tiny", GRADIENT_CHECK),
    Exhibit(mistakes.AlwaysBias, "a crash, on the day somebody leaves the bias out", "every option on and off"),
    Exhibit(mistakes.Lazy, "nothing before it learns", "random upstream gradients instead of ones"),
    Exhibit(mistakes.NoBias, "it learns, a little worse; the biases stay at 0", GRADIENT_CHECK),
    Exhibit(mistakes.Hungry, "none in a chain; behind a fork, the other branch suffers", "the input before and after"),
    Exhibit(mistakes.Leaking, "it often learns, more slowly and to a worse place", GRADIENT_CHECK),
    Exhibit(mistakes.Confused, "fine for small inputs; for |x| > 1 the sign is wrong", "inputs of size 1 and more"),
    Exhibit(mistakes.Maskless, "noisier and worse than without Dropout", "a gradient check in training mode"),
    Exhibit(mistakes.Careless, "it trains, and the layers before it drift", GRADIENT_CHECK),
    Exhibit(mistakes.CarelessRows, "it trains, and the layers before it drift", GRADIENT_CHECK),
    Exhibit(mistakes.TooLarge, "the loss explodes at the learning rate of the textbook", LOSS_CHECK),
    Exhibit(mistakes.WrongSign, "the loss climbs from the first step", LOSS_CHECK),
]


def named(name: str) -> Exhibit:
    """The exhibit of this name.

    >>> named("Maskless").check
    'a gradient check in training mode'
    """
    for exhibit in EXHIBITS:
        if exhibit.name == name:
            return exhibit
    raise ValueError(f"the museum has no {name!r}; it has {', '.join(exhibit.name for exhibit in EXHIBITS)}")


def suitable(layer: Module) -> list[Exhibit]:
    """What can be plugged in for a layer or a loss."""
    return [exhibit for exhibit in EXHIBITS if exhibit.suits(layer)]


def cards(layer: Module) -> list[dict[str, str]]:
    """The same in words, for the page."""
    return [
        {"name": e.name, "words": e.words, "symptom": e.symptom, "check": e.check, "replaces": e.replaces.__name__}
        for e in suitable(layer)
    ]


def plug_in(layer: Module, name: str) -> None:
    """Let an exhibit take over a layer; the layer keeps its weights.

    Raises:
        ValueError: where it does not suit.
    """
    exhibit = named(name)
    if not exhibit.suits(layer):
        square = " with as many inputs as outputs" if exhibit.made is mistakes.Transposed else ""
        raise ValueError(f"{name} stands in for a {exhibit.replaces.__name__}{square}, and this is {layer.title()}")
    layer.__class__ = exhibit.made  # the same object: optimizer, graph and files know it


def take_out(layer: Module) -> None:
    """Make a layer what it was before an exhibit took it over."""
    for exhibit in EXHIBITS:
        if type(layer) is exhibit.made:
            layer.__class__ = exhibit.replaces


def plug_in_all(model: Module, mistakes: Iterable[tuple[str, str]], loss: Module | None = None) -> None:
    """Put exhibits in the layers of a model that are named, and the right layers in all others.

    Args:
        mistakes: (layer, exhibit) pairs; the layer "loss" is the loss.
        loss: what that is; None where somebody else sees to it.

    Raises:
        ValueError: where a layer is not there, or an exhibit does not suit it.
    """
    layers = dict(model.named_modules())
    for layer in [*layers.values(), *([] if loss is None else [loss])]:
        take_out(layer)
    for name, exhibit in mistakes:
        if name != "loss" and name not in layers:
            raise ValueError(f"there is no layer {name!r} for {exhibit} to stand in for")
        if name != "loss":
            plug_in(layers[name], exhibit)
        elif loss is not None:
            plug_in(loss, exhibit)


def mutated_inputs(calls: Iterable[tuple[str, Module, Sequence[Any]]]) -> list[str]:
    """The names of the calls whose forward changes the array that it was given.

    Args:
        calls: (name, layer, inputs) of each. Of inputs of real numbers only the shape counts: random ones are given,
            as a pass through the model has changed its own already.
    """
    found = []
    for name, layer, inputs in calls:
        given = [mx.random.normal(x.shape) if is_floating(x) else mx.array(x) for x in inputs]
        before = [mx.array(x) for x in given]
        layer(*given)
        if not all(mx.array_equal(a, b, equal_nan=True).item() for a, b in zip(given, before)):
            found.append(name)
    return found


def steps_of(optimizer: Optimizer) -> list[float]:
    """The lengths of the first steps of an Adam or a plain SGD like this one, if the gradient is always 1: all are 1.

    For another rule only the first, as the others may differ.

    >>> from miniframe import Adam, Linear
    >>> steps_of(Adam(Linear(1, 1)))
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if not isinstance(optimizer, (Adam, SGD)):
        return [1.0]
    weight = Parameter(mx.zeros((1,)))
    kind: Any = type(optimizer)
    like = kind([weight], lr=1.0, **({"betas": optimizer.betas} if isinstance(optimizer, Adam) else {}))
    lengths = []
    for _ in range(5):
        before, weight.grad = weight.value, mx.ones((1,))
        like.step()
        lengths.append(round(number((before - weight.value).sum()), 4))
    return lengths


def code(before: Iterable[tuple[str, str]], now: Iterable[tuple[str, str]]) -> list[str]:
    """The lines of Python that take out and plug in exhibits; the loss is given to ``fit`` instead."""
    before, now = [m for m in before if m[0] != "loss"], [m for m in now if m[0] != "loss"]
    lines = [f"{_in_code(m[0])}.__class__ = mf.{named(m[1]).replaces.__name__}" for m in before if m not in now]
    return lines + [f"{_in_code(m[0])}.__class__ = mf.lab.mistakes.{m[1]}" for m in now if m not in before]


def _in_code(layer: str) -> str:
    """A layer of the model as Python: by its number, or deeper inside by its whole name."""
    return f"model[{layer}]" if layer.isdigit() else f'dict(model.named_modules())["{layer}"]'


def in_loss(mistakes: Iterable[tuple[str, str]]) -> Loss:
    """The loss, with an exhibit in its place if there is one."""
    for layer, name in mistakes:
        if layer == "loss":
            return named(name).made()  # type: ignore[return-value]
    return CrossEntropyLoss()
