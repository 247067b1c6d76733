"""mlx.nn's recurrent layers and attention, in and out: other names for the weights, and a single bias for each gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mlx.core as mx

from .. import layers as mf
from ..core.module import Module

Arrays = dict[str, mx.array]
PROJECTIONS = {"query": "query_proj", "key": "key_proj", "value": "value_proj", "output": "out_proj"}
RECURRENT = (mf.RNN, mf.GRU, mf.LSTM)
INPUT, HIDDEN = "weight_ih_l0", "weight_hh_l0"


def _recurrent(make: Callable[..., Module], kernel: str, bias: str) -> Callable[[Any], Module]:
    """mlx.nn's layer gives the outputs, and LSTM's the states c, too, which are left out here."""

    def convert(m: Any) -> Module:
        hidden = m.hidden_size if hasattr(m, "hidden_size") else m[kernel].shape[0] // (4 if make is mf.LSTM else 1)
        if make is mf.RNN and getattr(m.nonlinearity, "__name__", "") not in ("tanh", "relu"):
            raise ValueError(" with another nonlinearity than tanh and relu")
        options = {"nonlinearity": m.nonlinearity.__name__} if make is mf.RNN else {}
        last = getattr(m, "last_only", False)
        return make(m[kernel].shape[1], hidden, bias=bias in m, return_sequences=not last, **options)

    return convert


def _attention_from_mlx(m: Any) -> Module:
    widths = {m.query_proj.weight.shape[1], *(m[name].weight.shape[0] for name in PROJECTIONS.values())}
    if len(widths) > 1 or m.key_proj.weight.shape[1] != m.value_proj.weight.shape[1]:
        raise ValueError(f" of several widths, {sorted(widths)}")
    biased = {"bias" in m[name] for name in PROJECTIONS.values()}
    return mf.MultiHeadAttention(
        widths.pop(), m.num_heads, causal=getattr(m, "causal", False), bias=biased == {True},
        context_dim=m.key_proj.weight.shape[1],
    )  # fmt: skip


SEQUENCES_FROM_MLX: dict[str, Callable[[Any], Module]] = {
    "RNN": _recurrent(mf.RNN, "Wxh", "bias"),
    "GRU": _recurrent(mf.GRU, "Wx", "b"),
    "LSTM": _recurrent(mf.LSTM, "Wx", "bias"),
    "MultiHeadAttention": _attention_from_mlx,
}


def weights_from_mlx(arrays: Mapping[str, mx.array], layers: Mapping[str, Module]) -> Arrays:
    """The arrays under the names that they have here.

    mlx.nn adds one bias for each gate where there are two here: the second is zero, but for GRU's new state, whose two
    are apart in both.
    """
    found: Arrays = {}
    for name, array in arrays.items():
        path, _, own = name.rpartition(".")
        prefix = f"{path}." if path else ""
        attention, _, part = path.rpartition(".")
        layer, outer = layers.get(path), layers.get(attention)
        if isinstance(layer, RECURRENT) and own in ("Wx", "Wxh", "Wh", "Whh"):
            found[prefix + (INPUT if own in ("Wx", "Wxh") else HIDDEN)] = array
        elif isinstance(layer, RECURRENT) and own in ("b", "bias"):
            found[f"{prefix}bias_ih_l0"] = array
            found.setdefault(f"{prefix}bias_hh_l0", mx.zeros_like(array))
        elif isinstance(layer, mf.GRU) and own == "bhn":
            found[f"{prefix}bias_hh_l0"] = mx.concatenate([mx.zeros((2 * array.size,), array.dtype), array])
        elif isinstance(outer, mf.MultiHeadAttention) and part in PROJECTIONS.values():
            here = next(ours for ours, theirs in PROJECTIONS.items() if theirs == part)
            found[f"{attention}.{here}.{own}" if attention else f"{here}.{own}"] = array
        else:
            found[name] = array
    return found


# -------------------------------------------------------------------- to mlx.nn


def weights_to_mlx(arrays: Mapping[str, mx.array], layers: Mapping[str, Module]) -> Arrays:
    """The arrays under the names that they have in mlx.nn's layers; both biases of a gate added up."""
    found: Arrays = {}
    for name, array in arrays.items():
        path, _, own = name.rpartition(".")
        prefix = f"{path}." if path else ""
        attention, _, part = path.rpartition(".")
        layer = layers.get(path)
        if isinstance(layer, RECURRENT):
            plain = isinstance(layer, mf.RNN)
            if own in (INPUT, HIDDEN):
                found[prefix + ({INPUT: "Wxh", HIDDEN: "Whh"} if plain else {INPUT: "Wx", HIDDEN: "Wh"})[own]] = array
            elif own == "bias_ih_l0":
                found |= _biases(layer, prefix, array, arrays[f"{prefix}bias_hh_l0"])
        elif isinstance(layers.get(attention), mf.MultiHeadAttention) and part in PROJECTIONS:
            there = PROJECTIONS[part]
            found[f"{attention}.{there}.{own}" if attention else f"{there}.{own}"] = array
        else:
            found[name] = array
    return found


def _biases(layer: Module, prefix: str, first: mx.array, second: mx.array) -> Arrays:
    if not isinstance(layer, mf.GRU):
        return {f"{prefix}bias": first + second}
    apart = first.size // 3 * 2  # where the new state's begins
    gates = mx.concatenate([first[:apart] + second[:apart], first[apart:]])
    return {f"{prefix}b": gates, f"{prefix}bhn": second[apart:]}


def _recurrent_to_mlx(l: Any, nn: Any) -> Any:
    """mlx.nn's layer, but for what it gives: the outputs, or the last one, which the next layer can take."""
    if l.num_layers > 1 or l.directions > 1 or l.return_state:
        raise ValueError(" of several layers or directions, or with its state")
    kind = getattr(nn, type(l).__name__)

    def call(self: Any, x: mx.array) -> mx.array:
        y = kind.__call__(self, x)
        y = y[0] if isinstance(y, tuple) else y
        return y[:, -1] if self.last_only else y

    options = {"nonlinearity": nn.relu if l.nonlinearity == "relu" else nn.tanh} if type(l) is mf.RNN else {}
    module = type(kind.__name__, (kind,), {"__call__": call})(l.input_size, l.hidden_size, bias=l.biased, **options)
    module.last_only = not l.return_sequences
    return module


def _attention_to_mlx(l: Any, nn: Any) -> Any:
    """mlx.nn's layer, called with the sequence alone; a mask for what comes later is its own business."""
    if l.rotary is not None or l.num_kv_heads != l.num_heads or l.attention.dropout:
        raise ValueError(" with rotary positions, shared heads, or dropout")

    def call(self: Any, x: mx.array, context: mx.array | None = None) -> mx.array:
        context = x if context is None else context
        mask = nn.MultiHeadAttention.create_additive_causal_mask(x.shape[1], x.dtype) if self.causal else None
        found: mx.array = nn.MultiHeadAttention.__call__(self, x, context, context, mask)
        return found

    kind = type("MultiHeadAttention", (nn.MultiHeadAttention,), {"__call__": call})
    module = kind(
        l.embed_dim, l.num_heads, key_input_dims=l.context_dim, value_input_dims=l.context_dim,
        bias=l.query.bias is not None,
    )  # fmt: skip
    module.causal = l.attention.causal
    return module


SEQUENCES_TO_MLX: dict[type, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(RECURRENT, _recurrent_to_mlx),
    mf.MultiHeadAttention: _attention_to_mlx,
}
