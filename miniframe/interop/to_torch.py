"""Models of miniframe to PyTorch, without loss: same numbers, same gradients."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.cells import Buffer
from ..core.module import Module
from ..core.sequential import Sequential
from ..graph.graph import Graph
from ..layers import BatchNorm, Checkpointed
from .graph_to_torch import graph_to_torch
from .layouts import as_numpy, layers_with_channels, own_cells, to_torch_layout, warn_of_colours
from .over_time import check_time_axis
from .pairs import layer_to_torch
from .sharing import share_there


def to_torch(model: Module, channels: int | None = None) -> Any:
    """The same model in PyTorch, with the same weights: a ``torch.nn.Module`` for images (N, C, H, W).

    A module of your own that only composes layers in ``forward``, with nothing but calls and operators, becomes a
    PyTorch module that runs the same ``forward``. A Graph becomes a module that makes the same calls, with layers under
    the same names.

    Args:
        model: a layer, a Sequential of them, a Graph, or a module that composes others.
        channels: of the input images, needed only where they reach a Flatten before any layer that knows them. Left
            out, they are taken for 1, with a warning where the images may have colours.

    Raises:
        ImportError: without PyTorch, naming the extra that brings it.
        TypeError, ValueError: for a layer without a counterpart in PyTorch, naming it.

    >>> from miniframe import Linear, Sequential, Tanh
    >>> to_torch(Sequential(Linear(2, 3), Tanh()))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
    )
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs PyTorch: pip install miniframe[torch]") from error
    if isinstance(model, Graph):
        module = graph_to_torch(model, torch)
        module = module.to(_dtype(model, torch)) if list(model.parameters()) else module
        return module.train(model.training)
    check_time_axis(model, "to_torch")
    context = list(layers_with_channels(model, channels))
    images = {id(layer): seen.image for _, layer, seen in context}
    module = _Builder(torch, images).module(model, type(model).__name__)
    warn_of_colours([(layer, seen) for _, layer, seen in context], "to_torch")
    state = {}
    for path, layer, seen in context:
        for name, cell in own_cells(layer).items():
            array = to_torch_layout(layer, as_numpy(cell.value), seen.channels or 1)
            state[f"{path}.{name}" if path else name] = torch.tensor(np.ascontiguousarray(array))
    module.load_state_dict(state, strict=False)  # all names are ours, except BatchNorm's count of batches
    share_there(context, module)
    trainable = {name: parameter.trainable for name, parameter in model.named_parameters()}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(trainable.get(name, True))
    for parameter in module.parameters():
        parameter.data = parameter.data.to(_dtype(model, torch))
    return module.train(model.training)


def _dtype(model: Module, torch: Any) -> Any:
    """The type of the model's weights: float32, unless all of them have another."""
    types = {str(parameter.value.dtype).split(".")[-1] for parameter in model.parameters()}
    return getattr(torch, types.pop() if len(types) == 1 else "float32")


class _Builder:
    """Makes PyTorch modules from layers, their weights not yet set; one for each, however often it is used.

    Args:
        torch: the package.
        images: by the id of a layer, whether its input has rows and columns; None where nothing tells.
    """

    def __init__(self, torch: Any, images: Mapping[int, bool | None]) -> None:
        self.torch, self.images = torch, images
        self.made: dict[int, Any] = {}

    def module(self, layer: Module, path: str) -> Any:
        """The counterpart of a layer."""
        if id(layer) not in self.made:
            self.made[id(layer)] = self._new(layer, path)
        return self.made[id(layer)]

    def _new(self, layer: Module, path: str) -> Any:
        if type(layer) is Sequential:
            children = [(name, self.module(child, f"{path}.{name}")) for name, child in layer.layers.items()]
            return self.torch.nn.Sequential(OrderedDict(children))
        if type(layer) is Checkpointed:
            return self.module(layer.layer, path)
        image = self.images[id(layer)]
        if image is None and isinstance(layer, BatchNorm):
            raise ValueError(
                f"to_torch: {path}, {layer.title()}, may see images or rows of numbers, for which PyTorch has two "
                f"layers; for images give channels={layer.num_features}"
            )
        module = layer_to_torch(layer, self.torch.nn, bool(image))
        if module is None and not layer.composes():
            raise TypeError(f"to_torch: {path}, {layer.title()}, has no counterpart in PyTorch")
        return self._composed(layer, path) if module is None else module

    def _composed(self, layer: Module, path: str) -> Any:
        """A PyTorch module with the same inner modules, whose forward is that of ``layer``: calls and operators."""

        class Composed(self.torch.nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, *inputs: Any) -> Any:
                return type(layer).forward(self, *inputs)  # type: ignore[arg-type]

        result = Composed()
        object.__setattr__(result, "composed", layer)  # for the way back; not an inner module
        for name, value in vars(layer).items():
            if isinstance(value, (Buffer, list, tuple, dict)) and list(layer.children()) and not name.startswith("_"):
                raise TypeError(f"to_torch: {path}.{name}: a composed module may hold modules only, one per attribute")
            if isinstance(value, Module):
                value = self.module(value, f"{path}.{name}")
            if not name.startswith("_") and name != "training":
                setattr(result, name, value)
        return result
