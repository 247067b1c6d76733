"""The recipe: everything that decides what a training in the lab will do, and the Python that does the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import mlx.core as mx

from .. import layers, models, optimizers
from ..core.checks import is_real, is_whole, shown
from ..core.module import Module
from ..core.sequential import Sequential
from ..layers.standardize import Standardize
from . import museum
from .worlds import CONTEXT, IMAGES, WORLDS, World

ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "gelu": "GELU", "leaky relu": "LeakyReLU"}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
NORMS = {"none": "", "batch": "BatchNorm", "layer": "LayerNorm"}
ANEW = ("data", "points", "noise", "seed", "placed", "table", "file", "widths", "norm")  # these begin a new training
REBUILT = ("activation", "dropout")  # the same weights in a new row of layers

RANGES: dict[str, tuple[str, float, float]] = {  # how a number is called, the least and the most
    "points": ("number of points", 4, 20_000),
    "noise": ("noise", 0, 10),
    "dropout": ("dropout rate", 0, 0.95),
    "lr": ("learning rate", 0, 1e6),
    "momentum": ("momentum", 0, 0.999),
    "batch_size": ("batch size", 1, 20_000),
    "seed": ("seed", 0, 2**31),
}
WHOLE = ("points", "batch_size", "seed")
CHOICES: dict[str, tuple[str, Sequence[str]]] = {
    "data": ("data", WORLDS),
    "activation": ("activation", tuple(ACTIVATIONS)),
    "norm": ("normalization", tuple(NORMS)),
    "optimizer": ("optimizer", (*OPTIMIZERS, *museum.OPTIMIZERS)),
}


@dataclass(frozen=True)
class Recipe:
    """The whole state of the lab but for the weights: what the page's address bar holds.

    Attributes:
        data, points, noise, seed: what is learned; ``seed`` also of the weights and the order of the samples.
        widths: units of the hidden layers; for images the channels of the convolutions.
        activation, norm, dropout: what stands behind every hidden layer.
        optimizer, lr, momentum, batch_size: how it is learned; only SGD has the momentum.
        mistakes: (layer, exhibit) pairs: the museum's exhibits that are plugged in; the layer "loss" is the loss.
        placed: points set by hand, (x₁, x₂, class) each.
        table, file: the text and the name of a CSV file; a link holds only the name.

    >>> Recipe(lr=0.1).changed({"lr": "0.5"}).lr
    0.5
    >>> Recipe().changed({"lr": "fast"})
    Traceback (most recent call last):
    ValueError: the learning rate has to be a number, got 'fast'
    """

    data: str = "disk"
    points: int = 500
    noise: float = 0.0
    seed: int = 0
    widths: tuple[int, ...] = (8, 8)
    activation: str = "relu"
    norm: str = "none"
    dropout: float = 0.0
    optimizer: str = "adam"
    lr: float = 0.01
    momentum: float = 0.9
    batch_size: int = 32
    mistakes: tuple[tuple[str, str], ...] = ()
    placed: tuple[tuple[float, float, int], ...] = ()
    table: str = ""
    file: str = ""

    def changed(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe with other settings, as a page sends them: numbers may be texts.

        Raises:
            ValueError: in words for whoever typed it.
        """
        known = {field.name for field in fields(self)}
        for name in settings:
            if name not in known:
                raise ValueError(f"there is no setting {shown(name)}; there are {', '.join(sorted(known))}")
        return replace(self, **{name: _checked(name, value) for name, value in settings.items()})

    def differs(self, other: Recipe, names: Sequence[str]) -> bool:
        """Whether any of these settings is another one there."""
        return any(getattr(self, name) != getattr(other, name) for name in names)

    def as_dict(self) -> dict[str, Any]:
        """For the page: all of it but the table's text."""
        return {name: value for name, value in asdict(self).items() if name != "table"}


def _checked(name: str, value: Any) -> Any:
    """One setting, as the recipe holds it."""
    if name in RANGES:
        return _number(name, value)
    if name in CHOICES:
        called, choices = CHOICES[name]
        if value not in choices:
            raise ValueError(f"the {called} has to be one of {', '.join(choices)}, got {shown(value)}")
        return value
    if name == "widths":
        return _widths(value)
    if name == "mistakes":
        return tuple(_mistake(pair) for pair in _listed("mistakes", value))
    if name == "placed":
        return tuple(_point(point) for point in _listed("points", value))
    if not isinstance(value, str):
        raise ValueError(f"{name} has to be a text, got {shown(value)}")
    return value.replace("\\", "/").rpartition("/")[2].replace('"', "") if name == "file" else value


def _number(name: str, value: Any) -> int | float:
    called, least, most = RANGES[name]
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"the {called} has to be a number, got {shown(value)}") from None
    if not is_real(number) or not least <= number <= most:
        raise ValueError(f"the {called} has to be a number from {least:g} to {most:g}, got {shown(value)}")
    if name == "lr" and not number > 0:
        raise ValueError("the learning rate has to be above 0: with 0 nothing is learned")
    if name in WHOLE:
        if number != int(number):
            raise ValueError(f"the {called} has to be a whole number, got {shown(value)}")
        return int(number)
    return float(number)


def _widths(value: Any) -> tuple[int, ...]:
    """Layer widths, from a text such as "8, 8" or from numbers."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        widths = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"the hidden layers have to be whole numbers, such as 8, 8; got {shown(value)}") from None
    if len(widths) > 12 or not all(1 <= width <= 512 for width in widths):
        raise ValueError(f"expected at most 12 hidden layers of 1 to 512 units, got {shown(value)}")
    return widths


def _listed(called: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"the {called} have to be a list, got {shown(value)}")
    return value


def _mistake(pair: Any) -> tuple[str, str]:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ValueError(f"a mistake has the name of a layer and of an exhibit, got {shown(pair)}")
    return str(pair[0]), museum.named(pair[1]).name


def _point(point: Any) -> tuple[float, float, int]:
    try:
        a, b, label = point
    except (TypeError, ValueError):
        raise ValueError(f"a point has two coordinates and a class, got {shown(point)}") from None
    if not (is_real(a) and is_real(b) and abs(a) <= 1e6 and abs(b) <= 1e6 and is_whole(label) and 0 <= label < 10):
        raise ValueError(f"a point has two finite coordinates and a class from 0 to 9, got {shown(point)}")
    return float(a), float(b), int(label)


# ---------------------------------------------------------------- from a recipe to a model

Plan = list[tuple[str, tuple[Any, ...]]]  # a layer's class and its arguments


def plan(recipe: Recipe, world: World) -> Plan:
    """The row of layers.

    >>> from miniframe.lab.worlds import toy
    >>> plan(Recipe(widths=(4,)), toy("disk", 10, 0.0, 0))
    [('Linear', (2, 4)), ('ReLU', ()), ('Linear', (4, 2))]
    """
    found: Plan = [("Standardize", ("x",))] if recipe.data == "csv" else []
    inputs, side = world.x.shape[-1], world.x.shape[1]
    for width in recipe.widths:
        images = recipe.data in IMAGES
        found.append(("Conv2d", (inputs, width, 3, 1, 1)) if images else ("Linear", (inputs, width)))
        found += [(NORMS[recipe.norm], (width,))] if recipe.norm != "none" else []
        found.append((ACTIVATIONS[recipe.activation], ()))
        if images and side >= 4:
            found.append(("MaxPool2d", (2,)))
            side //= 2
        found += [("Dropout", (recipe.dropout,))] if recipe.dropout else []
        inputs = width
    if recipe.data in IMAGES:
        found.append(("Flatten", ()))
        inputs *= side * side
    return [*found, ("Linear", (inputs, len(world.classes)))]


def build(recipe: Recipe, world: World, before: Sequential | None = None) -> Module:
    """The model; with ``before``, the layers that learn are taken from there."""
    if world.tokenizer is not None:
        return models.GPT(**gpt_sizes(recipe, world))
    kept = iter([layer for layer in before.layers.values() if list(layer.parameters())] if before else [])
    made = []
    for name, arguments in plan(recipe, world):
        learns = name in ("Linear", "Conv2d", "BatchNorm", "LayerNorm")
        layer = next(kept) if before is not None and learns else _layer(name, arguments, world.x)
        made.append(layer)
    return Sequential(*made)


def gpt_sizes(recipe: Recipe, world: World) -> dict[str, Any]:
    """The arguments of a model of text: a block for every hidden layer, all as wide as the first."""
    width = 2 * max(1, (recipe.widths or (32,))[0] // 2)  # two heads share it
    sizes = {"embed_dim": width, "num_heads": 2, "num_layers": max(1, len(recipe.widths)), "dropout": recipe.dropout}
    return {"vocabulary": world.tokenizer.vocabulary_size, "context": CONTEXT, **sizes}


def _layer(name: str, arguments: tuple[Any, ...], x: mx.array) -> Module:
    return Standardize(x) if name == "Standardize" else getattr(layers, name)(*arguments)


def optimizer_of(recipe: Recipe, model: Module) -> optimizers.Optimizer:
    """The optimizer that the recipe names."""
    if recipe.optimizer in museum.OPTIMIZERS:
        return museum.OPTIMIZERS[recipe.optimizer](model, lr=recipe.lr)  # type: ignore[call-arg]
    momentum = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    return getattr(optimizers, OPTIMIZERS[recipe.optimizer])(model, lr=recipe.lr, **momentum)


def from_link(text: str) -> dict[str, Any]:
    """The settings in a link, JSON as the page writes it."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("the link does not hold the settings of a lab")
    return found
