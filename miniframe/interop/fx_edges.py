"""Edges of images and sequences, and what works on whole channels, made of several layers."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..core.node import Node
from ..layers import arithmetic
from .fx_shapes import taken
from .fx_table import Builder
from .fx_trace import Seen
from .fx_values import Value


def edges(b: Builder, input: Value, pad: Any, mode: str) -> Value:
    """More rows and columns around images, or steps before and after sequences, taken from inside."""
    sides = [pad] * (2 * (input.ndim - 2)) if isinstance(pad, int) else list(pad)
    if min(sides) < 0:
        raise ValueError("that cuts edges off")
    for k in range(0, len(sides), 2):
        axis = input.ndim - 1 - k // 2
        places = np.arange(-sides[k], input.seen.shape[axis] + sides[k + 1])
        input = taken(b, input, axis, _inside(places, input.seen.shape[axis], mode))
    return input


def _inside(places: np.ndarray, size: int, mode: str) -> np.ndarray:
    if mode == "circular":
        return places % size
    if mode == "replicate":
        return places.clip(0, size - 1)
    return np.abs((size - 1) - np.abs((size - 1) - places))  # reflected at the first and at the last


def zeros_before_and_after(b: Builder, input: Value, pad: Any) -> Value:
    """More steps of zeros around a sequence (N, C, T): those of an image with a single row."""
    value = b.ordered(input, (0, 2, 1))
    wide = b.named(mf.Unsqueeze(1), "unsqueeze")(value.node)
    padded = b.named(mf.ZeroPad2d((*pad, 0, 0)), "pad")(wide)
    return b.result(b.named(mf.Squeeze(1), "squeeze")(padded), (0, 2, 1), 1)


def padded_conv(b: Builder, module: Any, path: str, input: Value) -> Value:
    """A convolution whose edges are taken from inside: these first, then one without padding."""
    ends = module._reversed_padding_repeated_twice
    seen = input.seen
    shape, other = (
        (*part[:2], *(size + ends[-2 * k - 2] + ends[-2 * k - 1] for k, size in enumerate(part[2:])))
        for part in (seen.shape, seen.other)
    )
    wide = edges(b, input, ends, module.padding_mode)
    wide = Value(wide.node, Seen(shape, seen.grows, other, seen.dtype), wide.order, 1)
    return b.on_channels(b.layer_of(module, path, _WithoutPadding(module)), wide)


class _WithoutPadding:
    """A convolution's settings, but for its padding."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        if name == "padding":
            return (0,) * len(self.module.kernel_size)
        return "zeros" if name == "padding_mode" else getattr(self.module, name)


def adaptive_max(b: Builder, input: Value, output_size: Any, return_indices: bool = False) -> Value:
    """The largest of each part of an image, where the parts are of one size."""
    old, new = input.seen.shape[2:], b.seen.shape[2:]
    if return_indices or any(a % part for a, part in zip(old, new)):
        raise ValueError("to sizes that do not divide the image's, or with return_indices")
    window = (old[0] // new[0], old[1] // new[1])
    return b.on_channels(b.named(mf.MaxPool2d(window), "adaptive_max_pool2d"), input)


def channel_dropout(b: Builder, input: Value, p: float) -> Value:
    """Drops whole channels in training: a number 1 for each sample and channel goes through Dropout."""
    value = b.ordered(input, (0, *range(2, input.ndim), 1))
    ones = Node(mx.ones((1,) * (input.ndim - 1) + (input.seen.shape[1],)))
    each = b.named(mf.ForEachSample(), "ones")(ones, value.node)
    kept = b.named(mf.Dropout(p), "dropout")(each)
    return b.result(b.named(arithmetic.Multiply(), "multiply")(value.node, kept), value.order, 1)
