"""A parameter that two layers share, such as an embedding's table that is the last layer's weight, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.cells import Parameter
from ..core.module import Module
from .layouts import Seen, own_cells


def share_here(model: Module, module: Any) -> None:
    """Let the layers of a model share the parameters that those of the PyTorch module share."""
    owners = dict(model.named_modules())
    first: dict[int, Parameter] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        path, _, attribute = name.rpartition(".")
        if path not in owners or not isinstance(getattr(owners[path], attribute, None), Parameter):
            continue
        cell = first.setdefault(id(parameter), getattr(owners[path], attribute))
        setattr(owners[path], attribute, cell)


def share_there(layers: Iterable[tuple[str, Module, Seen]], module: Any) -> None:
    """Let the parts of a PyTorch module share the parameters that the layers share."""
    first: dict[int, Any] = {}
    for path, layer, _ in layers:
        part = module.get_submodule(path)
        for name, cell in own_cells(layer).items():
            if isinstance(cell, Parameter):
                tensor = first.setdefault(id(cell), getattr(part, name))
                if tensor.shape == getattr(part, name).shape:
                    setattr(part, name, tensor)
