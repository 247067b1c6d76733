"""Calls of PyTorch's modules: which axes each layer here wants where, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers as mf
from . import fx_attention
from .fx_attention import BatchFirst
from .fx_calls import CALLS
from .fx_composed import MODULES_OF
from .fx_edges import padded_conv
from .fx_functions import looked_up, on_last
from .fx_table import Builder
from .fx_trace import Seen
from .fx_values import Value, channels_last, plain
from .pairs import FROM_TORCH

Make = Callable[..., Any]  # (builder, PyTorch's module, its path, the arguments of the call) -> values


def _conv(b: Builder, module: Any, path: str, input: Value) -> Value:
    inside = module.padding_mode != "zeros" and any(module._reversed_padding_repeated_twice)
    return (padded_conv if inside else _on_channels)(b, module, path, input)


def _on_channels(b: Builder, module: Any, path: str, input: Value) -> Value:
    return b.on_channels(b.layer_of(module, path), input)


def _alike(b: Builder, module: Any, path: str, input: Value) -> Value:
    layer = b.layer_of(module, path)
    return b.result(layer(input.node), input.order, input.channel)


def _last(b: Builder, module: Any, path: str, input: Value) -> Value:
    return on_last(b, b.layer_of(module, path), input)


def _plain(b: Builder, module: Any, path: str, *inputs: Value) -> Value:
    """A layer that has its axes where PyTorch has them."""
    layer = b.layer_of(module, path)
    node = layer(*[b.ordered(value, plain(value.ndim)).node for value in inputs])
    return b.result(node, plain(len(b.seen.shape)))


def _layer_norm(b: Builder, module: Any, path: str, input: Value) -> Value:
    """Over the last axis, or over whole images with their channels."""
    if len(module.normalized_shape) == 1:
        return _last(b, module, path, input)
    wanted = channels_last(4) if len(module.normalized_shape) == 3 and input.ndim == 4 else plain(input.ndim)
    value = b.ordered(input, wanted)
    return b.result(b.layer_of(module, path)(value.node), wanted, value.channel)


def _prelu(b: Builder, module: Any, path: str, input: Value) -> Value:
    return (_alike if module.num_parameters == 1 else _on_channels)(b, module, path, input)


def _softmax(b: Builder, module: Any, path: str, input: Value) -> Value:
    if module.dim is None:
        raise ValueError("without dim")
    axis = input.axis(module.dim)
    make = getattr(mf, type(module).__name__)
    if path not in b.layers:
        b.layers[path] = make(-1 if axis == input.ndim - 1 else axis).named(path)
    return b.result(b.layers[path](input.node), input.order, input.channel)


def _as_function(name: str, *options: str) -> Make:
    """A module that is a call of a function with the module's own options."""

    def call(b: Builder, module: Any, path: str, input: Value) -> Any:
        return CALLS[name](b, input, *[getattr(module, option) for option in options])

    return call


def _embedding(b: Builder, module: Any, path: str, input: Value) -> Value:
    return looked_up(b, b.layer_of(module, path), input, module.weight, module.padding_idx)


def _recurrent(b: Builder, module: Any, path: str, input: Value, hx: Any = None, *more: Any) -> Any:
    """The outputs and the last state; PyTorch has the batch of a state on its second axis, we on the first."""
    order = plain(3) if module.batch_first else (1, 0, 2)
    layer: Any = b.layer_of(module, path, BatchFirst(module))
    if isinstance(b.seen, Seen):  # of what to_torch made: the outputs alone
        return b.result(layer(b.ordered(input, order).node), plain(len(b.seen.shape)))
    if getattr(module, "return_state", False):  # of what to_torch made, with states that have the batch in front
        given = [part for part in (input, hx, *more) if part is not None]
        layer.return_state, layer.output_count = True, len(b.seen)
        parts = layer(*[b.ordered(part, plain(3)).node for part in given])
        return tuple(b.result(part, plain(len(seen.shape)), None, seen) for part, seen in zip(parts, b.seen))
    layer.return_state = True
    layer.output_count = 3 if type(layer) is mf.LSTM else 2
    state = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
    nodes = [b.ordered(part, (1, 0, 2)).node for part in state]
    y, *last = layer(b.ordered(input, order).node, *nodes)
    seen = b.seen[1] if isinstance(b.seen[1], tuple) else (b.seen[1],)
    states = tuple(b.result(node, (1, 0, 2), None, part) for node, part in zip(last, seen))
    return b.result(y, order, None, b.seen[0]), states if len(states) > 1 else states[0]


def _composed(b: Builder, module: Any, path: str, *inputs: Value) -> Value:
    return _plain(b, module, path, *inputs)


MODULES: dict[str, Make] = {
    **dict.fromkeys(FROM_TORCH, _alike),
    **dict.fromkeys(("Linear", "RMSNorm"), _last),
    **dict.fromkeys(
        ("ConvTranspose2d", "BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm2d",
         "MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d", "AdaptiveAvgPool2d", "Upsample", "ZeroPad2d",
         "ChannelShuffle", "GlobalAvgPool1d", "GlobalMaxPool1d"),
        _on_channels,
    ),
    "Embedding": _embedding,
    "PositionEmbedding": _plain,
    **dict.fromkeys(("Conv1d", "Conv2d"), _conv),
    "Computed": _composed,
    "Attention": _composed,
    "LayerNorm": _layer_norm,
    "PReLU": _prelu,
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "Flatten": _as_function("flatten", "start_dim", "end_dim"),
    "Unflatten": _as_function("unflatten"),
    "PixelShuffle": _as_function("pixel_shuffle", "upscale_factor"),
    "Hardtanh": _as_function("hardtanh", "min_val", "max_val"),
    "MultiheadAttention": fx_attention.multi_head,
    "TransformerEncoderLayer": fx_attention.encoder_layer,
    "TransformerDecoderLayer": fx_attention.decoder_layer,
    "TransformerEncoder": fx_attention.encoder,
    "TransformerDecoder": fx_attention.decoder,
    "Transformer": fx_attention.transformer,
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _recurrent),
    **MODULES_OF,
}  # fmt: skip
