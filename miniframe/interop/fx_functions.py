"""Calls of torch.nn.functional that are layers here: with weights, windows, or attention."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .. import layers as mf
from ..core.module import Module
from ..core.node import Node
from .fx_table import Builder, Call
from .fx_trace import Seen
from .fx_values import Value, plain


def _weighted(b: Builder, layer: Module, kind: str, **given: Value | None) -> Module:
    """The layer with the parameters that the call was given; it has the name of the module whose they are.

    A call with the same parameters is one of the same layer, as when a module is called again.
    """
    names = {attribute: value.parameter for attribute, value in given.items() if value is not None}
    if not all(names.values()):
        raise ValueError("weights that are computed")
    key = kind, layer.settings(), tuple(names.items())
    if key not in b.layers:
        owner = str(next(iter(names.values()), "")).rpartition(".")[0]
        alike = all(f"{owner}.{attribute}" == name for attribute, name in names.items())
        whole = owner and owner not in b.owners and alike
        b.owners.add(owner)
        b.layers[key] = layer = layer.named(owner) if whole else b.named(layer, kind)
        b.renamed |= {f"{layer.given_name}.{attribute}": str(name) for attribute, name in names.items()}
    return b.layers[key]


def _linear(b: Builder, input: Value, weight: Value, bias: Value | None = None) -> Value:
    out_features, in_features = weight.seen.shape
    layer = _weighted(b, mf.Linear(in_features, out_features, bias is not None), "linear", weight=weight, bias=bias)
    return on_last(b, layer, input)


def on_last(b: Builder, layer: Module, value: Value, seen: Seen | None = None) -> Value:
    """A layer that works along PyTorch's last axis, wherever the others stand here."""
    last = value.ndim - 1
    if value.order[-1] != last:
        value = b.ordered(value, (*(axis for axis in value.order if axis != last), last))
    return b.result(layer(value.node), value.order, value.channel, seen)


def _layer_norm(
    b: Builder, input: Value, normalized_shape: Any, weight: Value | None = None, bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:  # fmt: skip
    shape = tuple(normalized_shape)
    if len(shape) != 1:
        raise ValueError(f"normalized_shape={shape}; only the last axis is known, or the module LayerNorm")
    layer = mf.LayerNorm(shape, eps, weight is not None, bias is not None)
    return on_last(b, _weighted(b, layer, "layer_norm", weight=weight, bias=bias), input)


def _rms_norm(
    b: Builder, input: Value, normalized_shape: Any, weight: Value | None = None, eps: float = 2.0**-23
) -> Value:
    layer = mf.RMSNorm(tuple(normalized_shape)[-1], eps or 2.0**-23, weight is not None)
    return on_last(b, _weighted(b, layer, "rms_norm", weight=weight), input)


def _group_norm(
    b: Builder, input: Value, num_groups: int, weight: Value | None = None, bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:  # fmt: skip
    layer = mf.GroupNorm(num_groups, input.seen.shape[1], eps, weight is not None)
    return b.on_channels(_weighted(b, layer, "group_norm", weight=weight, bias=bias), input)


def _conv2d(
    b: Builder, input: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Value:  # fmt: skip
    out_channels, part, *kernel = weight.seen.shape
    settings = (_two(stride), padding if isinstance(padding, str) else _two(padding), _two(dilation))
    layer = mf.Conv2d(part * groups, out_channels, tuple(kernel), *settings, groups, bias is not None)  # type: ignore[arg-type]
    return b.on_channels(_weighted(b, layer, "conv2d", weight=weight, bias=bias), input)


def _conv1d(
    b: Builder, input: Value, weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Value:  # fmt: skip
    out_channels, part, kernel = weight.seen.shape
    settings = (_two(stride)[0], padding if isinstance(padding, str) else _two(padding)[0], _two(dilation)[0])
    layer = mf.Conv1d(part * groups, out_channels, kernel, *settings, groups, bias is not None)
    return b.on_channels(_weighted(b, layer, "conv1d", weight=weight, bias=bias), input)


def embedding(
    b: Builder, input: Value, weight: Value, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Value:  # fmt: skip
    if max_norm is not None or scale_grad_by_freq:
        raise ValueError("with max_norm or scale_grad_by_freq")
    layer = _weighted(b, mf.Embedding(*weight.seen.shape), "embedding", weight=weight)
    return looked_up(b, layer, input, b.tensors[str(weight.parameter)], padding_idx)


def looked_up(b: Builder, layer: Module, ids: Value, table: Any, padding_idx: int | None) -> Value:
    """Rows of a table; that of the padding, which never learns in PyTorch, comes from outside the table."""
    node = b.ordered(ids, plain(ids.ndim)).node
    y = layer(node)
    if padding_idx is not None and table.requires_grad:
        row = mx.array(table[padding_idx].detach().float().cpu().numpy())
        number = mx.array(padding_idx % len(table), dtype=mx.int32)
        is_padding = b.named(mf.Compare("=="), "is_padding")(node, Node(number))
        wide = b.named(mf.Unsqueeze(-1), "unsqueeze")(is_padding)
        y = b.named(mf.Where(), "padding")(wide, Node(row), y)
    return b.result(y, plain(ids.ndim + 1))


def _two(value: Any) -> tuple[int, int]:
    """Both numbers of a window's setting."""
    pair = (value,) * 2 if isinstance(value, int) else tuple(value) * (2 if len(value) == 1 else 1)
    return int(pair[0]), int(pair[1])


# -------------------------------------------------------------------- windows


def _max_pool2d(
    b: Builder, input: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Value:  # fmt: skip
    if _two(dilation) != (1, 1) or return_indices:
        raise ValueError("with dilation or return_indices")
    layer = mf.MaxPool2d(_two(kernel_size), _two(stride) if stride else None, _two(padding), ceil_mode)
    return b.on_channels(b.named(layer, "max_pool2d"), input)


def _avg_pool2d(
    b: Builder, input: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Value:  # fmt: skip
    if divisor_override is not None:
        raise ValueError("with divisor_override")
    settings = (_two(kernel_size), _two(stride) if stride else None, _two(padding), ceil_mode, count_include_pad)
    return b.on_channels(b.named(mf.AvgPool2d(*settings), "avg_pool2d"), input)


def _pool1d(kind: str) -> Call:
    def call(
        b: Builder, input: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False
    ) -> Value:
        if ceil_mode:
            raise ValueError("with ceil_mode")
        steps = _two(stride)[0] if stride else None
        layer = getattr(mf, kind)(_two(kernel_size)[0], steps, _two(padding)[0])
        return b.on_channels(b.named(layer, kind.lower()), input)

    return call


def _adaptive(b: Builder, input: Value, output_size: Any) -> Value:
    size = b.seen.shape[2:]
    return b.on_channels(b.named(mf.AdaptiveAvgPool2d(size), "adaptive_avg_pool2d"), input)


def _interpolate(
    b: Builder, input: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Value:  # fmt: skip
    old, new = input.seen.shape[2:], b.seen.shape[2:]
    if len(old) != 2 or any(b % a for a, b in zip(old, new)) or align_corners or antialias:
        raise ValueError("other than images by whole factors, without align_corners and antialias")
    layer = mf.Upsample2d((new[0] // old[0], new[1] // old[1]), mode)
    return b.on_channels(b.named(layer, "interpolate"), input)


def zeros_around(b: Builder, input: Value, pad: Any, mode: str = "constant", value: float | None = None) -> Value:
    if mode != "constant" or value not in (None, 0) or input.ndim != 4 or len(pad) > 4 or min(pad) < 0:
        raise ValueError("other than zeros around images")
    sides = (*pad, *(0,) * (4 - len(pad)))
    return b.on_channels(b.named(mf.ZeroPad2d(sides), "pad"), input)


FUNCTIONS: dict[str, Call] = {
    "linear": _linear,
    "conv2d": _conv2d,
    "conv1d": _conv1d,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "embedding": embedding,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "max_pool1d": _pool1d("MaxPool1d"),
    "avg_pool1d": _pool1d("AvgPool1d"),
    "adaptive_avg_pool2d": _adaptive,
    "interpolate": _interpolate,
}
