"""Where the two frameworks keep the same numbers in a different order.

PyTorch's images are channels-first, (N, C, H, W); miniframe's channels-last, (N, H, W, C). So convolutions have their
axes in another order, and a Linear layer that follows a Flatten has the columns of its weight in another order.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer
from ..core.module import Module
from ..core.warn import users_line
from ..layers import (
    GRU,
    LSTM,
    RNN,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Upsample2d,
    ZeroPad2d,
)

OF_IMAGES = (  # what takes images only
    Conv2d, ConvTranspose2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool2d, Upsample2d, ZeroPad2d,
    InstanceNorm,
)  # fmt: skip
POOLED = (GlobalAvgPool2d, GlobalAvgPool1d, GlobalMaxPool1d)  # what leaves one number for each channel
OF_SEQUENCES = (RNN, GRU, LSTM)  # what takes sequences only, and has time before the features in PyTorch, too
OVER_TIME = (Conv1d, MaxPool1d, AvgPool1d, GlobalAvgPool1d, GlobalMaxPool1d)  # and what has not
COLOURS = 3  # red, green, blue
COUNTER = "num_batches_tracked"  # PyTorch's BatchNorm counts its batches; nothing here needs that


@dataclass
class Seen:
    """What a module sees, as far as the layers before it tell.

    Attributes:
        channels: of the image that the module, a Linear layer, may see flattened; 1 after another Linear layer, and
            None where nothing tells.
        image: whether values still have rows and columns; None where nothing tells.
        flattened: whether a Flatten came since the last Linear layer.
    """

    channels: int | None
    image: bool | None
    flattened: bool = False


def layers_with_channels(model: Module, channels: int | None = None) -> Iterator[tuple[str, Module, Seen]]:
    """(path, module, what it sees) for all modules in order of assignment.

    Args:
        channels: of the images that the model itself is given; None if nobody has said so.
    """
    seen = Seen(channels, _begins_with_images(model, channels))
    as_there = getattr(model, "torch_columns", False)  # of a Graph from PyTorch, which turns images before it flattens
    for path, module in model.named_modules():
        if as_there and isinstance(module, Linear):
            yield path, module, Seen(1, False)
            continue
        if isinstance(module, (Flatten, Linear, *POOLED, *OF_SEQUENCES)):
            seen.image, seen.flattened = False, seen.flattened or isinstance(module, Flatten)
        if (width := _channels_in(module, seen.image)) is not None:
            seen.channels = width
        yield path, module, replace(seen)
        if isinstance(module, (Conv2d, ConvTranspose2d, Conv1d)):
            seen = Seen(module.out_channels, not isinstance(module, Conv1d))
        elif isinstance(module, (Linear, *POOLED, *OF_SEQUENCES)):
            seen.channels, seen.flattened = 1, False


def _begins_with_images(model: Module, channels: int | None) -> bool | None:
    """Whether the model is given images: the first layer that tells decides; a Flatten alone does not."""
    for _, module in model.named_modules():
        if isinstance(module, OVER_TIME):
            return False
        if isinstance(module, OF_IMAGES) or (isinstance(module, LayerNorm) and len(module.normalized_shape) == 3):
            return True
        if isinstance(module, Flatten):
            return None if channels is None else True
        if isinstance(module, (Linear, Embedding, *OF_SEQUENCES)):
            return False
    return channels is not None


def _channels_in(module: Module, image: bool | None) -> int | None:
    """How many channels a module's own settings say that its input has; None for one that does not say."""
    if isinstance(module, (Conv2d, ConvTranspose2d, Conv1d)):
        return module.in_channels
    if isinstance(module, (BatchNorm, InstanceNorm)) and image:
        return module.num_features
    if isinstance(module, GroupNorm) and image:
        return module.num_channels
    if isinstance(module, LayerNorm) and len(module.normalized_shape) == 3:
        return module.normalized_shape[-1]
    return None


def may_hide_colours(module: Module, seen: Seen) -> bool:
    """Whether a Linear layer may see flattened colour images, while nothing tells how many channels they have."""
    unknown = seen.channels is None and seen.flattened
    return unknown and isinstance(module, Linear) and module.in_features % COLOURS == 0


def warn_of_colours(layers: Iterable[tuple[Module, Seen]], where: str) -> None:
    """Say that a Linear layer may see colour images, whose pixels PyTorch flattens in another order."""
    for layer, seen in layers:
        if may_hide_colours(layer, seen):
            warnings.warn(
                f"{where}: {layer.title()} sees flattened images, and nothing tells how many channels they have; 1 is "
                f"taken, which is wrong for colour images: give channels={COLOURS}, or channels=1 if that is right",
                stacklevel=users_line(),
            )
            return


def from_torch_layout(module: Module, array: np.ndarray, channels: int) -> np.ndarray:
    """A parameter of ``module`` as miniframe keeps it, from PyTorch's."""
    if isinstance(module, Conv2d) and array.ndim == 4:  # (out, in, KH, KW) -> (out, KH, KW, in)
        return array.transpose(0, 2, 3, 1)
    if isinstance(module, Conv1d) and array.ndim == 3:  # (out, in, K) -> (out, K, in)
        return array.transpose(0, 2, 1)
    if isinstance(module, ConvTranspose2d) and array.ndim == 4:  # (in, out, KH, KW) -> (out, KH, KW, in)
        return array.transpose(1, 2, 3, 0)
    if isinstance(module, LayerNorm) and array.ndim == 3:  # (C, H, W) -> (H, W, C)
        return array.transpose(1, 2, 0)
    if isinstance(module, Linear) and _flattened(array, channels):  # columns (C, H, W) -> (H, W, C)
        return array.reshape(len(array), channels, -1).transpose(0, 2, 1).reshape(array.shape)
    return array


def to_torch_layout(module: Module, array: np.ndarray, channels: int) -> np.ndarray:
    """A parameter of ``module`` as PyTorch keeps it: the inverse of :func:`from_torch_layout`."""
    if isinstance(module, Conv2d) and array.ndim == 4:
        return array.transpose(0, 3, 1, 2)
    if isinstance(module, Conv1d) and array.ndim == 3:
        return array.transpose(0, 2, 1)
    if isinstance(module, ConvTranspose2d) and array.ndim == 4:
        return array.transpose(3, 0, 1, 2)
    if isinstance(module, LayerNorm) and array.ndim == 3:
        return array.transpose(2, 0, 1)
    if isinstance(module, Linear) and _flattened(array, channels):
        return array.reshape(len(array), -1, channels).transpose(0, 2, 1).reshape(array.shape)
    return array


def _flattened(array: np.ndarray, channels: int) -> bool:
    return array.ndim == 2 and channels > 1 and array.shape[1] % channels == 0 and array.shape[1] > channels


def own_cells(module: Module) -> dict[str, Buffer]:
    """The parameters and buffers of the module itself, not of those inside it."""
    return {name: item for name, item in module.children() if isinstance(item, Buffer)}


def paired_names(model: Module, names: list[str]) -> dict[str, str]:
    """PyTorch name -> miniframe name, for the entries of a state dict.

    Equal names belong together. If not a single name is shared, the layers are paired in order, provided that there are
    as many on both sides, with the same kinds of parameters; else the names stay, and loading lists what is wrong.
    """
    ours: dict[str, list[str]] = {}
    for path, module in model.named_modules():
        if cells := own_cells(module):
            ours[path] = sorted(cells)
    if any(_join(path, cell) in names for path, cells in ours.items() for cell in cells):
        return {name: name for name in names}
    theirs: dict[str, list[str]] = {}
    for name in names:
        prefix, _, kind = name.rpartition(".")
        theirs.setdefault(prefix, []).append(kind)
    if [sorted(kinds) for kinds in theirs.values()] != list(ours.values()):
        return {name: name for name in names}
    return {
        _join(prefix, kind): _join(path, kind) for (prefix, kinds), path in zip(theirs.items(), ours) for kind in kinds
    }


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def numpy_arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The entries of a state dict, PyTorch tensors or any arrays, as NumPy arrays; counters of batches left out."""
    arrays = {}
    for name, value in state.items():
        if not name.endswith(COUNTER):
            if hasattr(value, "detach"):
                value = value.detach().cpu()
                value = (value.float() if value.is_floating_point() else value).numpy()  # NumPy has no bfloat16
            arrays[name] = as_numpy(value)
    return arrays


def as_numpy(value: Any) -> np.ndarray:
    """An array as NumPy has it; what NumPy has not, bfloat16, as float32."""
    if isinstance(value, mx.array) and value.dtype == mx.bfloat16:
        value = value.astype(mx.float32)
    return np.array(value)
