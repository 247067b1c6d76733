"""PyTorch's attention with its masks: the function, MultiheadAttention, and the transformers that are made of it.

PyTorch's modules hide where a mask of bools is True, its function shows there, and both add a mask of numbers to the
scores. Here True always shows, and numbers are a bias. The layers are called part by part, so that queries, keys and
values may come from anywhere, and the weights of an attention can be had where the model uses them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..core.module import Module
from ..core.node import Node
from ..core.tape import this_thread
from ..layers import arithmetic, reductions
from .fx_functions import on_last
from .fx_table import Builder
from .fx_trace import Seen
from .fx_values import Order, Value, plain

Mask = tuple[Node | None, Node | None]  # True where a key may be seen, and what is added to the scores
NONE: Mask = (None, None)


# -------------------------------------------------------------------- masks


def _read(b: Builder, value: Value | None, shows: bool) -> Mask:
    """A mask of PyTorch's, in its own order of axes; ``shows``: whether a bool that is True shows."""
    if value is None:
        return NONE
    if value.seen.constant is not None:
        return _constant(np.array(value.node.value), shows)
    node = b.ordered(value, plain(value.ndim)).node
    if "bool" not in str(value.seen.dtype):
        return None, node
    return (node if shows else b.named(mf.Compare("=="), "shown")(node, Node(mx.array(False)))), None


def _constant(numbers: np.ndarray, shows: bool) -> Mask:
    """A mask that is known; numbers that only hide or do nothing are one of bools."""
    if numbers.dtype == bool:
        return Node(mx.array(numbers == shows)), None
    if np.all((numbers == 0) | (numbers == -np.inf)):
        return Node(mx.array(numbers == 0)), None
    return None, Node(mx.array(numbers))


def _both(b: Builder, one: Mask, two: Mask) -> Mask:
    """What both show, and both add."""
    mask, bias = (a if a is not None else b for a, b in zip(one, two))
    if one[0] is not None and two[0] is not None:
        mask = b.named(mf.Where(), "both")(one[0], two[0], Node(mx.array(False)))
    if one[1] is not None and two[1] is not None:
        bias = b.named(arithmetic.Add(), "add")(one[1], two[1])
    return mask, bias


def _masks(b: Builder, heads: int, attn_mask: Value | None, padding: Value | None) -> Mask:
    """Those of a module: attn_mask (T, S) or (N H, T, S), and padding (N, S), as masks of scores (N, H, T, S)."""
    if attn_mask is not None and attn_mask.ndim == 3:
        attn_mask = _resized(b, attn_mask, lambda n, t, s: (n // heads, heads, t, s), (True, False, False, False))
    if padding is not None:
        padding = _resized(b, padding, lambda n, s: (n, 1, 1, s), (True, False, False, False))
    return _both(b, _read(b, attn_mask, False), _read(b, padding, False))


def _resized(b: Builder, value: Value, shape: Any, grows: tuple[bool, ...]) -> Value:
    seen = value.seen
    if seen.constant is not None:
        array = np.array(value.node.value).reshape(shape(*seen.shape))
        new = Seen(array.shape, (False,) * array.ndim, array.shape, seen.dtype, seen.constant)
        return Value(Node(mx.array(array)), new, plain(array.ndim))
    grows = grows if any(seen.grows) else (False,) * len(grows)
    return b.reshaped(value, Seen(shape(*seen.shape), grows, shape(*seen.other), seen.dtype))


# -------------------------------------------------------------------- attention


@contextmanager
def _inside(*modules: Module) -> Iterator[None]:
    """Calls in here are those that these modules make, outermost first, and are named so."""
    tape = this_thread.tape
    outside, tape.scope = tape.scope, (*tape.scope, *modules)
    try:
        yield
    finally:
        tape.scope = outside


def function(
    b: Builder, query: Value, key: Value, value: Value, attn_mask: Value | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    """The function of F; a causal one counts the keys from the first one on, ours back from the last."""
    queries, keys = query.seen.shape[-2], key.seen.shape[-2]
    mask, bias = _read(b, attn_mask, True)
    if is_causal and queries != keys:
        mask, is_causal = Node(mx.tril(mx.ones((queries, keys), dtype=mx.bool_))), False
    layer = b.named(mf.ScaledDotProductAttention(is_causal, dropout_p, scale), "attention")
    nodes = [b.ordered(part, plain(part.ndim)).node for part in (query, key, value)]
    return b.result(layer(*nodes, mask, bias), plain(query.ndim))


def _attend(layer: Any, given: list[Node], mask: Mask) -> tuple[Node, Node, Node]:
    """What a MultiHeadAttention gives, and its queries and keys, cut into heads."""
    parts = layer.query, layer.key, layer.value
    query, key, value = (layer.split(part(x)) for part, x in zip(parts, given))
    return layer.output(layer.merge(layer.attention(query, key, value, *mask))), query, key


def _weights(b: Builder, query: Node, key: Node, mask: Mask, head_dim: int, mean: bool) -> Node:
    """The weights of an attention, for who uses them: softmax(Q Kᵀ / √D), of each head or their mean."""
    scale = 1 / math.sqrt(head_dim)
    turned = b.named(arithmetic.Transpose((0, 1, 3, 2)), "transpose")(key)
    scores = b.named(arithmetic.MatMul(), "matmul")(b.named(arithmetic.Multiply(), "mul")(query, scale), turned)
    shown, bias = mask
    if bias is not None:
        scores = b.named(arithmetic.Add(), "add")(scores, bias)
    if shown is not None:
        scores = b.named(mf.Where(), "where")(shown, scores, Node(mx.array(-math.inf)))
    weights = b.named(mf.Softmax(), "softmax")(scores)
    return b.named(reductions.Mean((1,)), "mean")(weights) if mean else weights


class BatchFirst:
    """A module as its layer is made of it, to which it does not matter on which axis PyTorch has the batch."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return True if name == "batch_first" else getattr(self.module, name)

    def __repr__(self) -> str:
        return repr(self.module)


def multi_head(
    b: Builder, module: Any, path: str, query: Value, key: Value, value: Value, key_padding_mask: Any = None,
    need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> Any:  # fmt: skip
    """nn.MultiheadAttention; ``is_causal`` only tells PyTorch what the mask says anyway."""
    order = _order(module, query)
    layer: Any = b.layer_of(module, path, BatchFirst(module))
    mask = _masks(b, layer.num_heads, attn_mask, key_padding_mask)
    with _inside(layer):
        nodes = [b.ordered(part, order).node for part in (query, key, value)]
        node, q, k = _attend(layer, nodes, mask)
    y = b.result(node, order, None, b.seen[0])
    if not isinstance(b.seen[1], Seen):
        return y, None
    weights = _weights(b, q, k, mask, layer.split.head_dim, average_attn_weights)
    return y, b.result(weights, plain(len(b.seen[1].shape)), None, b.seen[1])


def _order(module: Any, x: Value) -> Order:
    if x.ndim != 3:
        raise ValueError("a sequence without a batch")
    return plain(3) if getattr(module, "batch_first", False) else (1, 0, 2)


# -------------------------------------------------------------------- blocks


def _around(block: Any, norm: Any, x: Node, part: Any) -> Node:
    """x + part(norm(x)), or norm(x + part(x))."""
    return x + block.dropout(part(norm(x))) if block.norm_first else norm(x + block.dropout(part(x)))


def _attention_part(block: Any, layer: Any, context: Node | None, mask: Mask) -> Any:
    def attend(x: Node) -> Node:
        with _inside(layer):
            seen = x if context is None else context
            return _attend(layer, [x, seen, seen], mask)[0]

    return attend


def _block(b: Builder, module: Any, path: str, x: Value, masks: list[tuple[Any, Any]], memory: Value | None) -> Value:
    """A TransformerEncoderLayer, or with a memory a TransformerDecoderLayer."""
    order = _order(module.self_attn, x)
    block: Any = b.layer_of(module, path, BatchFirst(module))
    found = [_masks(b, block.num_heads, *pair) for pair in masks]
    node = b.ordered(x, order).node
    context = None if memory is None else b.ordered(memory, order).node
    with _inside(block):
        node = _around(block, block.norm1, node, _attention_part(block, block.attention, None, found[0]))
        if context is not None:
            node = _around(block, block.norm2, node, _attention_part(block, block.cross, context, found[1]))
        node = _around(block, block.norm2 if context is None else block.norm3, node, block.mlp)
    return replace(x, node=node, order=order, channel=None, parameter=None)


def encoder_layer(
    b: Builder, module: Any, path: str, src: Value, src_mask: Any = None, src_key_padding_mask: Any = None,
    is_causal: bool = False,
) -> Value:  # fmt: skip
    return _block(b, module, path, src, [(src_mask, src_key_padding_mask)], None)


def decoder_layer(
    b: Builder, module: Any, path: str, tgt: Value, memory: Value, tgt_mask: Any = None, memory_mask: Any = None,
    tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None, tgt_is_causal: bool = False,
    memory_is_causal: bool = False,
) -> Value:  # fmt: skip
    masks = [(tgt_mask, tgt_key_padding_mask), (memory_mask, memory_key_padding_mask)]
    return _block(b, module, path, tgt, masks, memory)


def _stack(b: Builder, module: Any, path: str, x: Value, call: Any, *given: Any) -> Value:
    for name, block in module.layers.named_children():
        x = call(b, block, f"{path}.layers.{name}", x, *given)
    return x if module.norm is None else on_last(b, b.layer_of(module.norm, f"{path}.norm"), x, x.seen)


def encoder(
    b: Builder, module: Any, path: str, src: Value, mask: Any = None, src_key_padding_mask: Any = None,
    is_causal: Any = None,
) -> Value:  # fmt: skip
    return _stack(b, module, path, src, encoder_layer, mask, src_key_padding_mask)


def decoder(
    b: Builder, module: Any, path: str, tgt: Value, memory: Value, tgt_mask: Any = None, memory_mask: Any = None,
    tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None, tgt_is_causal: Any = None,
    memory_is_causal: bool = False,
) -> Value:  # fmt: skip
    masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
    return _stack(b, module, path, tgt, decoder_layer, memory, *masks)


def transformer(
    b: Builder, module: Any, path: str, src: Value, tgt: Value, src_mask: Any = None, tgt_mask: Any = None,
    memory_mask: Any = None, src_key_padding_mask: Any = None, tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None, src_is_causal: Any = None, tgt_is_causal: Any = None,
    memory_is_causal: bool = False,
) -> Value:  # fmt: skip
    """nn.Transformer: its encoder, and its decoder, which looks at what that gives."""
    memory = encoder(b, module.encoder, f"{path}.encoder", src, src_mask, src_key_padding_mask)
    masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
    return decoder(b, module.decoder, f"{path}.decoder", tgt, memory, *masks)
