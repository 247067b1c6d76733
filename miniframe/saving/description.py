"""A model as plain data: its modules, their settings and their wiring, apart from the numbers in its arrays.

``describe`` walks over the attributes of every module, which hold all there is to know about it; ``rebuild`` makes
the modules again and fills in the attributes, without calling ``__init__``. Classes are looked up by name among
miniframe's own and those that were registered, so nothing from a file is ever executed.
"""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer, Parameter
from ..core.module import Module
from ..core.node import Node, Placeholder
from ..core.walk import ancestors
from ..core.words import quoted
from ..layers.windows import Window
from .fitting import misfit

M = TypeVar("M", bound=type[Module])
_registered: dict[str, type[Module]] = {}
_plain: dict[str, type] = {}  # classes that only hold attributes


def register(cls: M) -> M:
    """``@mf.register`` above a module class of your own lets ``save`` and ``load`` refer to it by its name.

    >>> @register
    ... class Double(Module):
    ...     def forward(self, x):
    ...         return x + x
    """
    if not (isinstance(cls, type) and issubclass(cls, Module)):
        raise TypeError(f"register: expected a Module class, got {cls!r}")
    other = known_classes().get(cls.__name__)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"register: the name {cls.__name__} already means {other.__module__}.{other.__qualname__}")
    _registered[cls.__name__] = cls
    return cls


def plain_data(cls: type) -> type:
    """``@plain_data`` above a class of miniframe's own that only holds attributes, no module: files may hold it."""
    _plain[cls.__name__] = cls
    return cls


def known_classes() -> dict[str, type[Module]]:
    """Every module class that a file may name: miniframe's own and the registered ones."""
    own: dict[str, type[Module]] = {}
    waiting: list[type[Module]] = [Module]
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        package, *room = cls.__module__.split(".")
        if package == __name__.split(".")[0] and room[:1] != ["lab"]:  # whose mistakes on purpose no file shall name
            own[cls.__name__] = cls
    return {**own, **_registered}


# -------------------------------------------------------------------- from a model to plain data


def describe(model: Any) -> tuple[dict[str, Any], dict[str, mx.array]]:
    """(description, arrays) of a module or plain data: what JSON can hold, and the values of all cells by name.

    >>> from miniframe import Linear
    >>> about, arrays = describe(Linear(2, 3))
    >>> about["modules"][0]["class"], about["modules"][0]["attributes"]["in_features"], sorted(arrays)
    ('Linear', 2, ['bias', 'weight'])
    """
    name = type(model).__name__
    try:
        writer = _Describer(model)
        root = writer.encode(model, name)
    except RecursionError:
        raise ValueError(f"cannot save {name}: its modules are nested deeper than Python can follow") from None
    about = {"root": root, "modules": writer.modules, "nodes": writer.nodes, "cells": writer.cells}
    return about, writer.arrays


class _Describer:
    """Collects modules, nodes and cells, each once, so that what is shared stays shared."""

    def __init__(self, model: Any) -> None:
        items = model.named_items() if isinstance(model, Module) else ()
        self.names = {id(item): name for name, item in items if isinstance(item, Buffer)}
        self.classes = {cls: name for name, cls in {**_plain, **known_classes()}.items()}
        self.modules: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.cells: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, mx.array] = {}
        self.places: dict[int, int] = {}  # of modules and nodes in their lists, by id

    def encode(self, value: Any, path: str) -> Any:
        """Plain numbers, strings and lists stand for themselves; anything else is a dict with one key, its kind."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.generic):
            return self.encode(value.item(), path)
        if isinstance(value, list):
            return [self.encode(item, path) for item in value]
        if isinstance(value, tuple):
            return {"tuple": [self.encode(item, path) for item in value]}
        if isinstance(value, dict):
            return {"dict": [[self.encode(k, path), self.encode(v, f"{path}.{k}")] for k, v in value.items()]}
        if isinstance(value, (slice, range)):
            return {type(value).__name__: [value.start, value.stop, value.step]}
        if value is Ellipsis:
            return {"ellipsis": None}
        if isinstance(value, mx.Dtype):
            return {"dtype": str(value).split(".")[-1]}
        if isinstance(value, Window):
            return {"window": self.encode(dataclasses.astuple(value), path)}
        if isinstance(value, Placeholder):
            return {"placeholder": [self.encode(value.shape, path), self.encode(value.dtype, path)]}
        if isinstance(value, (mx.array, np.ndarray)):
            return {"array": self.store(mx.array(value), f"array.{len(self.arrays)}")}
        if isinstance(value, Buffer):
            return {"cell": self.cell(value)}
        if isinstance(value, Module) or type(value) in _plain.values():
            return {"module": self.module(value, path)}
        if isinstance(value, Node):
            return {"node": self.node(value, path)}
        raise TypeError(
            f"cannot save {path}: a file holds numbers, text, arrays, modules, and lists of them, no "
            f"{type(value).__name__}; give the module such settings instead, or save_weights only"
        )

    def store(self, array: mx.array, name: str) -> str:
        self.arrays[name] = array
        return name

    def cell(self, cell: Buffer) -> str:
        name = self.names.setdefault(id(cell), f"private.{len(self.names)}")
        if name not in self.cells:
            self.store(cell.value, name)
            trainable = {"trainable": cell.trainable} if isinstance(cell, Parameter) else {}
            self.cells[name] = {"kind": type(cell).__name__, **trainable}
        return name

    def module(self, module: Any, path: str) -> int:
        if id(module) in self.places:
            return self.places[id(module)]
        cls = type(module)
        if cls not in self.classes:
            raise TypeError(
                f"cannot save {path}: load could not find the class {cls.__name__}; put @mf.register above it"
            )
        entry: dict[str, Any] = {"class": self.classes[cls], "attributes": {}}
        place = self.places[id(module)] = len(self.modules)
        self.modules.append(entry)
        for name, value in vars(module).items():
            passing = name.startswith("_") and hasattr(cls, name)  # state for the moment, unless it is plain
            if not passing or isinstance(value, (bool, int, float, str)):
                entry["attributes"][name] = self.encode(value, f"{path}.{name}")
        return place

    def node(self, node: Node, path: str) -> int:
        for source in ancestors([node]):  # in the order of creation, so inputs come before what uses them
            if id(source) in self.places:
                continue
            entry = {
                "module": None if source.module is None else self.module(source.module, path),
                "inputs": [self.places[id(n)] for n in source.inputs],
                "name": source.name,
                "hint": None if source.hint is None else self.encode([source.hint.shape, source.hint.dtype], path),
            }
            if source.module is None and source.operation != "Input":
                entry["value"] = self.encode(source.value, path)
            self.places[id(source)] = len(self.nodes)
            self.nodes.append(entry)
        return self.places[id(node)]


# -------------------------------------------------------------------- from plain data to a model


def rebuild(about: Mapping[str, Any], arrays: Mapping[str, mx.array], where: str) -> Any:
    """The module or plain data that ``describe`` described.

    Args:
        about, arrays: what ``describe`` returned.
        where: the name that errors begin with.
    """
    try:
        model = _Rebuilder(about, arrays, where).decode(about["root"])
    except RecursionError:
        raise ValueError(f"{where}: the model in it is nested deeper than Python can follow") from None
    except ValueError as error:
        raise error if str(error).startswith(where) else _damaged(where, error) from error
    except (ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(where, error) from error
    if not isinstance(model, Module) and type(model) not in _plain.values():
        raise ValueError(f"{where}: the description of the model is damaged: it describes no module")
    return model


def _damaged(where: str, error: Exception) -> ValueError:
    words = " ".join(str(error).split())[:200]
    return ValueError(f"{where}: the description of the model is damaged ({type(error).__name__}: {words})")


class _Rebuilder:
    """Makes all modules first, empty, then fills in their attributes: so they may refer to each other."""

    def __init__(self, about: Mapping[str, Any], arrays: Mapping[str, mx.array], where: str) -> None:
        self.arrays = arrays
        classes = {**_plain, **known_classes()}
        for entry in about["modules"]:
            if entry["class"] not in classes:
                raise ValueError(
                    f"{where}: the model contains {quoted(entry['class'])}, which is not a known class; "
                    "import the code that defines it with @mf.register first"
                )
        self.modules: list[Any] = [object.__new__(classes[entry["class"]]) for entry in about["modules"]]
        self.cells = {name: self.new_cell(name, **entry) for name, entry in about["cells"].items()}
        self.nodes: list[Node] = []
        for entry in about["nodes"]:
            self.nodes.append(self.new_node(entry))
        for module, entry in zip(self.modules, about["modules"]):
            for name, value in entry["attributes"].items():
                if name.startswith("__") or callable(getattr(Module, name, None)):
                    raise ValueError(f"{where}: the description of the model is damaged: {quoted(name)} is no setting")
                vars(module)[name] = self.decode(value)
        for module in self.modules:
            if wrong := misfit(module):
                raise ValueError(f"{where}: the description of the model is damaged: {wrong[:200]}")

    def new_cell(self, name: str, kind: str, trainable: bool = True) -> Buffer:
        return Parameter(self.arrays[name], trainable) if kind == "Parameter" else Buffer(self.arrays[name])

    def new_node(self, entry: Mapping[str, Any]) -> Node:
        module = None if entry["module"] is None else self.modules[entry["module"]]
        inputs = tuple(self.nodes[place] for place in entry["inputs"])
        value = self.decode(entry.get("value"))
        hint = None if entry["hint"] is None else Placeholder(*self.parts(entry["hint"]))
        return Node(value, module, inputs, name=entry["name"], hint=hint)

    def parts(self, value: Any) -> tuple[Any, ...]:
        """What a tuple holds, and nothing else, such as a range of a thousand million numbers."""
        found = self.decode(value)
        if not isinstance(found, (tuple, list)):
            raise TypeError(f"expected a tuple, got {quoted(found)}")
        return tuple(found)

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()  # one key, or the file is damaged
        if kind == "tuple":
            return tuple(self.decode(item) for item in content)
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in content}
        if kind in ("slice", "range"):
            return slice(*content) if kind == "slice" else range(*content)
        if kind == "window":
            return Window(*self.parts(content))
        if kind == "placeholder":
            return Placeholder(*(self.decode(item) for item in content))
        if kind == "ellipsis":
            return Ellipsis
        if kind == "dtype":
            return dtype_named(content)
        tables: dict[str, Any] = {
            "array": self.arrays,
            "cell": self.cells,
            "module": self.modules,
            "node": self.nodes,
        }
        return tables[kind][content]


def dtype_named(name: str) -> mx.Dtype:
    """The type of numbers with this name.

    >>> dtype_named("float32")
    mlx.core.float32
    """
    dtype = mx.bool_ if name == "bool" else getattr(mx, name, None)
    if not isinstance(dtype, mx.Dtype):
        raise TypeError(f"{name!r} is no dtype")
    return dtype


# what modules may keep as attributes, and pickle and copy do not know by themselves: types and functions of MLX
copyreg.pickle(mx.Dtype, lambda dtype: (dtype_named, (str(dtype).split(".")[-1],)))  # type: ignore[arg-type,return-value]
copyreg.pickle(type(mx.exp), lambda function: function.__name__)  # type: ignore[arg-type,return-value]
