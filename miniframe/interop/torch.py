"""PyTorch models and weights to miniframe and back, without loss: same numbers, same gradients."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer
from ..core.module import Module
from ..core.sequential import Sequential
from ..saving.files import load_arrays
from ..saving.weights import WeightsReport, put_weights
from .layouts import from_torch_layout, layers_with_channels, numpy_arrays, own_cells, paired_names, to_torch_layout
from .pairs import FROM_TORCH, layer_from_torch, layer_to_torch


def from_torch(module: Any, channels: int = 1) -> Module:
    """The same model here, with the same weights, for a PyTorch layer or a Sequential of them, nested or not.

    The result takes images (N, H, W, C) where PyTorch takes (N, C, H, W). Names stay, so do frozen parameters and
    the mode, training or evaluation.

    Args:
        module: a ``torch.nn.Module``.
        channels: of the input images, needed only where they go straight into a Flatten.

    Raises:
        TypeError: for a module that is not known, naming it and the known ones. Then build the model here and use
            :func:`load_torch_weights`.
        ValueError: for an option that the layer here does not have.

    >>> import torch
    >>> from_torch(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()))
    Sequential(
      (0) Conv2d(1 -> 4, 3x3)
      (1) ReLU()
    )
    """
    if not hasattr(module, "state_dict"):
        raise TypeError(f"from_torch: expected a torch.nn.Module, got {type(module).__name__}")
    model = _layer(module, type(module).__name__, {})
    once = {**dict(module.named_parameters()), **dict(module.named_buffers())}  # what is shared comes once, as here
    load_torch_weights(model, once, channels=channels)
    trainable = {name: p.requires_grad for name, p in module.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.trainable = trainable.get(name, True)
    return model.train(module.training)


def _layer(module: Any, path: str, made: dict[int, Module]) -> Module:
    """The miniframe counterpart of a module, its weights not yet set; one for each, however often it is used."""
    if id(module) not in made:
        composed = getattr(module, "composed", None)  # set in what to_torch makes of a composed module
        if type(module).__name__ == "Sequential" or composed is not None:
            inner = {n: _layer(child, f"{path}.{n}", made) for n, child in module._modules.items() if child is not None}
            made[id(module)] = Sequential(inner) if composed is None else _copy_of(composed, inner)
        elif (layer := layer_from_torch(module)) is not None:
            made[id(module)] = layer
        else:
            raise TypeError(
                f"from_torch: {path} is a {type(module).__name__}, which has no counterpart; known are Sequential, "
                f"{', '.join(FROM_TORCH)}. Build the model with miniframe's layers and use load_torch_weights"
            )
    return made[id(module)]


def _copy_of(source: Module, children: Mapping[str, Module]) -> Module:
    copy = object.__new__(type(source))
    vars(copy).update({name: value for name, value in vars(source).items() if name not in ("_saved", "_last_step")})
    vars(copy).update(children)
    return copy


def load_torch_weights(
    model: Module, state_dict: Mapping[str, Any] | str | os.PathLike[str], strict: bool = True, channels: int = 1
) -> WeightsReport:
    """Copy the weights of a PyTorch model into a miniframe model of the same architecture.

    Layouts are transposed, and the columns of a Linear layer that follows convolutions are put into the order in
    which Flatten meets the pixels here. BatchNorm's running statistics come along. Entries belong together by name;
    if no name is shared, layer by layer in order.

    Args:
        model: whose parameters are set.
        state_dict: ``module.state_dict()``, or the path of a .safetensors file with one, which needs no PyTorch.
        strict: True makes any difference an error, which lists all of them and leaves the model untouched; False
            loads what fits.
        channels: of the input images, needed only where they go straight into a Flatten.

    Returns:
        What was loaded, and what was missing, unexpected or mismatched (shapes as miniframe has them).

    Raises:
        ValueError: for weights that do not fit (strict).

    >>> from miniframe import Linear
    >>> layer = Linear(2, 1)
    >>> load_torch_weights(layer, {"weight": np.array([[3.0, 4.0]]), "bias": np.array([5.0])})
    2 loaded
    >>> layer(mx.array([[1.0, 1.0]])).item()
    12.0
    """
    where = "load_torch_weights"
    if isinstance(state_dict, (str, os.PathLike)):
        where = str(state_dict)
        state_dict, _ = load_arrays(state_dict)
    arrays = numpy_arrays(state_dict)
    names = paired_names(model, list(arrays))
    known = {path: (module, width) for path, module, width, _ in layers_with_channels(model, channels)}
    converted: dict[str, mx.array] = {}
    for name, array in arrays.items():
        ours = names[name]
        module, width = known.get(ours.rpartition(".")[0], (None, 1))
        array = array if module is None else from_torch_layout(module, array, width)
        converted[ours] = mx.array(np.ascontiguousarray(array))
    return put_weights(model, converted, strict, where)


def to_torch(model: Module, channels: int = 1) -> Any:
    """The same model in PyTorch, with the same weights: a ``torch.nn.Module`` for images (N, C, H, W).

    A module of your own that only composes layers in ``forward``, with nothing but calls and operators, becomes a
    PyTorch module that runs the same ``forward``.

    Args:
        model: a layer, a Sequential of them, or a module that composes others.
        channels: of the input images, needed only where they go straight into a Flatten.

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
    context = list(layers_with_channels(model, channels))
    images = {id(layer): image for _, layer, _, image in context}
    module = _Builder(torch, images).module(model, type(model).__name__)
    state = {}
    for path, layer, width, _ in context:
        for name, cell in own_cells(layer).items():
            array = to_torch_layout(layer, np.array(cell.value), width)
            state[f"{path}.{name}" if path else name] = torch.tensor(np.ascontiguousarray(array))
    module.load_state_dict(state, strict=False)  # all names are ours, except BatchNorm's count of batches
    trainable = {name: parameter.trainable for name, parameter in model.named_parameters()}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(trainable.get(name, True))
    return module.train(model.training)


class _Builder:
    """Makes PyTorch modules from layers, their weights not yet set; one for each, however often it is used.

    Args:
        torch: the package.
        images: by the id of a layer, whether its input has rows and columns.
    """

    def __init__(self, torch: Any, images: Mapping[int, bool]) -> None:
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
        module = layer_to_torch(layer, self.torch.nn, self.images[id(layer)])
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
