"""PyTorch models and weights to miniframe, without loss: same numbers, same gradients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer
from ..core.module import Module
from ..core.sequential import Sequential
from ..saving.files import load_arrays
from ..saving.weights import WeightsReport, put_weights
from .fx_import import graph_from_torch
from .fx_trace import is_leaf
from .layouts import (
    from_torch_layout,
    layers_with_channels,
    numpy_arrays,
    paired_names,
    warn_of_colours,
)
from .over_time import time_axis_problem
from .pairs import FROM_TORCH
from .sequences import unpacked
from .sharing import share_here


def from_torch(module: Any, example: Any = None, *, channels: int | None = None) -> Module:
    """The same model here, with the same weights, for any PyTorch module that torch.fx can trace.

    A layer becomes a layer, and a Sequential of layers, nested or not, a Sequential. Anything else becomes a flat
    Graph: its calls in order, whether modules, functions, methods or operators, under PyTorch's names.

    What PyTorch has as (N, C, H, W) is (N, H, W, C) here, as input and as output, and what a convolution over time has
    as (N, C, T) is (N, T, C): channels come last, and anything else keeps its axes. Frozen parameters stay frozen, and
    the mode, training or evaluation, stays. The Graph is compared with the module on the example before it is returned.

    Args:
        module: a ``torch.nn.Module``.
        example: an input, or a tuple of several, as PyTorch has them. The Graph then takes inputs of these sizes, for
            any number of samples. Left out, one is made up where the first layer tells what it may be.
        channels: of the input images, needed only for a Sequential in which they reach a Flatten before any layer that
            knows them. Left out, they are taken for 1, with a warning where the images may have colours.

    Raises:
        TypeError: for modules and functions that have no counterpart, all named with their places.
            :func:`supported` prints what has one.
        ValueError: for options that the layers here do not have, and for code that torch.fx cannot follow.

    >>> import torch
    >>> from_torch(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()))
    Sequential(
      (0) Conv2d(1 -> 4, 3x3)
      (1) ReLU()
    )
    >>> class Residual(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = torch.nn.Linear(2, 2)
    ...     def forward(self, x):
    ...         return x + torch.relu(self.fc(x))
    >>> list(from_torch(Residual()).names)
    ['x', 'fc', 'relu', 'add']
    """
    if not hasattr(module, "state_dict"):
        raise TypeError(f"from_torch: expected a torch.nn.Module, got {type(module).__name__}")
    if not _is_made_of_layers(module):
        return graph_from_torch(module, example)
    model = _layer(module, type(module).__name__, {})
    if (problem := time_axis_problem(model)) is not None:
        if type(module).__name__ != "Sequential" or _was_composed(module):
            raise ValueError(f"from_torch: {problem}")
        try:
            return graph_from_torch(module, example)
        except ValueError as error:
            raise (
                error
                if example is not None
                else ValueError(
                    f"from_torch: {problem}; or give an example of the input, from_torch(module, example=x)"
                )
            ) from None
    if channels is None:
        of_images = example is not None and not isinstance(example, (tuple, list)) and len(example.shape) == 4
        channels = int(example.shape[1]) if of_images else _channels_of(module)
    share_here(model, module)
    once = {**dict(module.named_parameters()), **dict(module.named_buffers())}  # what is shared comes once, as here
    load_torch_weights(model, once, channels=channels)
    ours = dict(model.named_parameters())
    learning = {name: p.requires_grad for name, p in module.named_parameters()}
    trainable = unpacked(learning, ours, lambda learns: (learns, learns, learns))
    for name, parameter in ours.items():
        parameter.trainable = trainable.get(name, True)
    return model.train(module.training)


def _is_made_of_layers(module: Any) -> bool:
    """Whether it is a layer that has a counterpart, or a Sequential of such, or what ``to_torch`` made of one."""
    composed = getattr(module, "composed", None)
    if type(module).__name__ == "Sequential" or composed is not None:
        return all(_is_made_of_layers(inner) for inner in module.children())
    padded = getattr(module, "padding_idx", None) is not None and module.weight.requires_grad
    padded = padded or (type(module).__name__ in ("Conv1d", "Conv2d") and module.padding_mode != "zeros")
    return is_leaf(module) and type(module).__name__ in FROM_TORCH and not padded


def _was_composed(module: Any) -> bool:
    return any(hasattr(inner, "composed") for inner in module.modules())


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
        else:
            made[id(module)] = FROM_TORCH[type(module).__name__](module)
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
    warn_of_colours(known.values(), "from_torch and load_torch_weights")
    converted: dict[str, mx.array] = {}
    for name, array in arrays.items():
        ours = names[name]
        if (found := known.get(ours.rpartition(".")[0])) is not None:
            array = from_torch_layout(found[0], array, found[1].channels or 1)
        converted[ours] = mx.array(np.ascontiguousarray(array))
    return put_weights(model, converted, strict, where)
