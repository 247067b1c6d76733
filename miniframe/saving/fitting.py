"""Does a module that was rebuilt from a file hang together? Looked at before it runs, so that the error names the file.

Two questions: does it have every attribute that its class gives to each of its instances, and do its weights have the
shapes that its settings say.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from ..core.cells import Buffer
from ..core.module import Module
from ..core.words import quoted
from ..layers import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    Linear,
    PReLU,
    RMSNorm,
    Standardize,
    VectorQuantizer,
)
from ..layers.windows import Window

Shapes = dict[str, tuple[int, ...]]
OPTIONAL = ("weight", "bias")  # None in a layer made without them


def _features(layer: Any) -> Shapes:
    count = (layer.num_features,)
    return {"weight": count, "bias": count, "running_mean": count, "running_var": count}


def _recurrent(layer: Any) -> Shapes:
    for name in ("num_layers", "directions"):  # a loop as long as a damaged file says would never end
        number = getattr(layer, name)
        if type(number) is not int or number > len(vars(layer)):
            raise ArithmeticError(f"{name}={quoted(number)}, more than it has weights")
    return layer.weight_shapes()


def sizes(value: Any) -> tuple[int, ...]:
    """A few sizes as they are; TypeError for what else a file may put there, such as a range without an end in sight.

    >>> sizes((3, 5))
    (3, 5)
    """
    if not isinstance(value, tuple) or any(type(size) is not int for size in value):
        raise TypeError(f"expected a tuple of sizes, got {quoted(value)}")
    return value


SHAPES: dict[type[Module], Callable[[Any], Shapes]] = {
    Linear: lambda l: {"weight": (l.out_features, l.in_features), "bias": (l.out_features,)},
    Embedding: lambda l: {"weight": (l.num_embeddings, l.embedding_dim)},
    Conv2d: lambda l: {
        "weight": (l.out_channels, *sizes(l.window.kernel), l.in_channels // l.groups), "bias": (l.out_channels,)
    },
    Conv1d: lambda l: {
        "weight": (l.out_channels, sizes(l.window.kernel)[1], l.in_channels // l.groups), "bias": (l.out_channels,)
    },
    ConvTranspose2d: lambda l: {
        "weight": (l.out_channels, *sizes(l.window.kernel), l.in_channels), "bias": (l.out_channels,)
    },
    BatchNorm: _features,
    VectorQuantizer: lambda l: {"weight": (l.num_codes, l.code_dim)},
    LayerNorm: lambda l: {"weight": sizes(l.normalized_shape), "bias": sizes(l.normalized_shape)},
    RMSNorm: lambda l: {"weight": (l.num_features,)},
    **dict.fromkeys((RNN, GRU, LSTM), _recurrent),
    GroupNorm: lambda l: {"weight": (l.num_channels,), "bias": (l.num_channels,)},
    InstanceNorm: lambda l: {"weight": (l.num_features,), "bias": (l.num_features,)},
    Standardize: lambda l: {"mean": (l.num_features,), "std": (l.num_features,)},
    PReLU: lambda l: {"weight": (l.num_parameters,)},
    LayerScale: lambda l: {"weight": (l.num_features,)},
}  # fmt: skip
"""The shapes of a layer's own weights and statistics, from its settings."""


def misfit(module: Any) -> str | None:
    """What is wrong with a rebuilt module, in words; None if nothing is.

    >>> layer = Linear(2, 3)
    >>> del layer.out_features
    >>> misfit(layer)
    "Linear has no 'out_features'"
    """
    cls: Any = type(module)
    for name in given_to_all(cls):
        passing = name.startswith("_") and hasattr(cls, name)  # which no file holds
        if name not in vars(module) and not passing:
            return f"{cls.__name__} has no {name!r}"
    window = vars(module).get("window")
    if cls.__module__ == Conv2d.__module__ and not isinstance(window, Window):
        return f"{cls.__name__}: expected window to be a window, got {type(window).__name__}"
    if cls not in SHAPES:
        return None
    try:
        shapes = SHAPES[cls](module)
    except (TypeError, ArithmeticError, LookupError) as error:
        return f"{cls.__name__} has unsuitable settings ({error})"
    for name, shape in shapes.items():
        cell = getattr(module, name)
        if cell is None and name in OPTIONAL and cls is not Embedding:
            continue
        if not isinstance(cell, Buffer) or cell.shape != shape:
            found = cell.shape if isinstance(cell, Buffer) else type(cell).__name__
            return f"{cls.__name__}: expected {name} of shape {shape}, as its settings say, got {found}"
    return None


@cache
def given_to_all(cls: type) -> frozenset[str]:
    """The attributes that ``__init__`` sets whatever happens: those assigned outside of any ``if`` or loop.

    Of a dataclass, whose ``__init__`` nobody wrote, all fields.

    >>> sorted(given_to_all(Linear))
    ['bias', 'in_features', 'out_features', 'weight']
    """
    if is_dataclass(cls):
        return frozenset(field.name for field in fields(cls))
    found: set[str] = set()
    for parent in cls.__mro__:
        if "__init__" not in vars(parent) or parent is object:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(vars(parent)["__init__"]))
            tree = ast.parse(source)
        except (OSError, TypeError, SyntaxError):  # written where no source is kept
            break
        found.update(_assigned(tree))
        if "super().__init__(" not in source:
            break
    return frozenset(found)


def _assigned(tree: ast.Module) -> Iterator[str]:
    """The names x of the statements ``self.x = ...`` at the top of a function."""
    function = tree.body[0]
    for statement in function.body if isinstance(function, ast.FunctionDef) else ():
        targets: list[Any] = []
        if isinstance(statement, ast.Assign):
            targets = list(statement.targets)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
                    yield part.attr
