"""PyTorch models and weights to miniframe and back, without loss: same numbers, same gradients."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer
from ..core.module import Module
from ..core.sequential import Sequential
from ..core.warn import users_line
from ..layers import BatchNorm, Checkpointed
from ..saving.files import load_arrays
from ..saving.weights import WeightsReport, put_weights
from .layouts import (
    COLOURS,
    Seen,
    as_numpy,
    from_torch_layout,
    layers_with_channels,
    may_hide_colours,
    numpy_arrays,
    own_cells,
    paired_names,
    to_torch_layout,
)
from .over_time import check_time_axis
from .pairs import FROM_TORCH, layer_from_torch, layer_to_torch
from .sequences import unpacked
from .sharing import share_here, share_there


def from_torch(module: Any, channels: int | None = None) -> Module:
    """The same model here, with the same weights, for a PyTorch layer or a Sequential of them, nested or not.

    The result takes images (N, H, W, C) where PyTorch takes (N, C, H, W). Names stay, so do frozen parameters and
    the mode, training or evaluation.

    Args:
        module: a ``torch.nn.Module``.
        channels: of the input images, needed only where they reach a Flatten before any layer that knows them. Left
            out, they are taken for 1, with a warning where the images may have colours.

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
    check_time_axis(model, "from_torch")
    if channels is None:
        channels = _channels_of(module)
    share_here(model, module)
    once = {**dict(module.named_parameters()), **dict(module.named_buffers())}  # what is shared comes once, as here
    load_torch_weights(model, once, channels=channels)
    ours = dict(model.named_parameters())
    learning = {name: p.requires_grad for name, p in module.named_parameters()}
    trainable = unpacked(learning, ours, lambda learns: (learns, learns, learns))
    for name, parameter in ours.items():
        parameter.trainable = trainable.get(name, True)
    return model.train(module.training)


def _channels_of(module: Any) -> int | None:
    """How many channels the input images have, if the first layer says that it takes images; else None."""
    for inner in module.modules():
        kind = type(inner).__name__
        if kind in ("BatchNorm2d", "Conv2d", "ConvTranspose2d"):
            return int(inner.num_features if kind == "BatchNorm2d" else inner.in_channels)
        if kind in ("Flatten", "Linear"):
            break
    return None


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
    model: Module,
    state_dict: Mapping[str, Any] | str | os.PathLike[str],
    strict: bool = True,
    channels: int | None = None,
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
        channels: of the input images, needed only where they reach a Flatten before any layer that knows them. Left
            out, they are taken for 1, with a warning where the images may have colours.

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
    own = {name for name, item in model.named_items() if isinstance(item, Buffer)}
    arrays = unpacked(numpy_arrays(state_dict), own, lambda a: tuple(np.split(a, 3)))
    names = paired_names(model, list(arrays))
    known = {path: (module, seen) for path, module, seen in layers_with_channels(model, channels)}
    _warn_of_colours(known.values(), "from_torch and load_torch_weights")
    converted: dict[str, mx.array] = {}
    for name, array in arrays.items():
        ours = names[name]
        if (found := known.get(ours.rpartition(".")[0])) is not None:
            array = from_torch_layout(found[0], array, found[1].channels or 1)
        converted[ours] = mx.array(np.ascontiguousarray(array))
    return put_weights(model, converted, strict, where)


def to_torch(model: Module, channels: int | None = None) -> Any:
    """The same model in PyTorch, with the same weights: a ``torch.nn.Module`` for images (N, C, H, W).

    A module of your own that only composes layers in ``forward``, with nothing but calls and operators, becomes a
    PyTorch module that runs the same ``forward``.

    Args:
        model: a layer, a Sequential of them, or a module that composes others.
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
    check_time_axis(model, "to_torch")
    context = list(layers_with_channels(model, channels))
    _warn_of_colours([(layer, seen) for _, layer, seen in context], "to_torch")
    images = {id(layer): seen.image for _, layer, seen in context}
    module = _Builder(torch, images).module(model, type(model).__name__)
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


def _warn_of_colours(layers: Iterable[tuple[Module, Seen]], where: str) -> None:
    """Say that a Linear layer may see colour images, whose pixels PyTorch flattens in another order."""
    for layer, seen in layers:
        if may_hide_colours(layer, seen):
            warnings.warn(
                f"{where}: {layer.title()} sees flattened images, and nothing tells how many channels they have; 1 is "
                f"taken, which is wrong for colour images: give channels={COLOURS}, or channels=1 if that is right",
                stacklevel=users_line(),
            )
            return


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
