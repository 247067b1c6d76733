"""Multi-head attention: several attentions side by side, each in a few features of its own."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.module import Module
from .attention import ScaledDotProductAttention
from .linear import Linear
from .masks import is_mask
from .memory import current
from .positions import RotaryEmbedding


class SplitHeads(Module):
    """(N, T, H D) -> (N, H, T, D): neighbouring features become the heads. Backward puts them back.

    Args:
        head_dim: features of each head, D.

    >>> layer = SplitHeads(2)
    >>> y = layer(mx.array([[[1, 2, 3, 4], [5, 6, 7, 8]]]))
    >>> y.tolist()
    [[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]]
    >>> layer.backward(y).tolist()
    [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    """

    samples_apart = True

    def __init__(self, head_dim: int) -> None:
        if head_dim < 1:
            raise ValueError(f"SplitHeads: expected head_dim >= 1, got {head_dim}")
        self.head_dim = head_dim

    def settings(self) -> str:
        return str(self.head_dim)

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim != 3 or x.shape[-1] % self.head_dim:
            raise self.wrong(f"input (batch, length, a multiple of {self.head_dim})", x)
        self.saved = ()
        batch, length, features = x.shape
        return side_by_side(x.reshape(batch, length, features // self.head_dim, self.head_dim))

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output.transpose(0, 2, 1, 3).flatten(-2)


class MergeHeads(Module):
    """(N, H, T, D) -> (N, T, H D): the features of all heads side by side. Backward takes them apart.

    >>> MergeHeads()(mx.array([[[[1, 2], [5, 6]], [[3, 4], [7, 8]]]])).tolist()
    [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim != 4:
            raise self.wrong("input (batch, heads, length, features)", x)
        self.saved = x.shape
        return x.transpose(0, 2, 1, 3).flatten(-2)

    def backward(self, grad_output: mx.array) -> mx.array:
        batch, heads, length, features = self.saved
        return side_by_side(grad_output.reshape(batch, length, heads, features))


def side_by_side(x: mx.array) -> mx.array:
    """(N, T, H, D) -> (N, H, T, D), written to memory in this order, or every product would copy it.

    >>> side_by_side(mx.zeros((2, 5, 3, 4))).shape
    (2, 3, 5, 4)
    """
    heads = x.transpose(0, 2, 1, 3)
    return mx.unflatten(heads.flatten(1, 2), 1, heads.shape[1:3])


class MultiHeadAttention(Module):
    """Attention in several heads: each asks with its own Q, K and V, made of the input by linear layers.

        Q = X Wqᵀ + bq,  K = C Wkᵀ + bk,  V = C Wvᵀ + bv,   cut into heads
        Y = (softmax(Q Kᵀ / √D) V of every head, side by side) Woᵀ + bo

    Vaswani et al. 2017. Without a context, C = X: the places of a sequence attend to each other. It only composes other
    layers, ``query``, ``key``, ``value``, ``attention`` and ``output``, so its backward is their calls, last to first.

    Args:
        embed_dim: last axis of the input and of the output.
        num_heads: how many heads; D = embed_dim / num_heads.
        num_kv_heads: how many heads K and V have, each shared by num_heads / num_kv_heads neighbours of Q; as many as
            Q by default.
        causal: whether no place may see a later one.
        dropout: the probability with which each weight of the attention is dropped in training.
        bias: whether the linear layers add b.
        rotary: True, or a RotaryEmbedding with settings of its own, turns Q and K by their positions.
        context_dim: last axis of the context; embed_dim by default.

    Inputs: x, then a context to attend to, then a mask of bools: True where a place may be attended to. Either may be
    left out, so ``layer(x, mask)``, too, is understood. ``bias=`` numbers are added to the scores of the attention.

    Shapes: x (N, T, embed_dim) -> the same; context (N, S, context_dim); mask (N, S) for padding, (N, T, S), or
    (N, H, T, S), where each axis but the last may be 1, for all alike; bias (N, H, T, S), where any axis may be 1.

    Raises:
        ValueError: for sizes and shapes that do not fit together.

    >>> layer = MultiHeadAttention(8, num_heads=2, causal=True)
    >>> x = mx.ones((1, 3, 8))
    >>> layer(x).shape, layer(x, mx.array([[True, True, False]])).shape, layer(x, mx.ones((1, 5, 8))).shape
    ((1, 3, 8), (1, 3, 8), (1, 3, 8))
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        rotary: bool | RotaryEmbedding = False,
        context_dim: int | None = None,
    ) -> None:
        shared = num_heads if num_kv_heads is None else num_kv_heads
        if min(embed_dim, num_heads, shared) < 1 or embed_dim % num_heads or num_heads % shared:
            raise ValueError(
                "MultiHeadAttention: expected embed_dim divisible by num_heads, and num_heads by num_kv_heads, "
                f"got {embed_dim}, {num_heads} and {shared}"
            )
        head_dim = embed_dim // num_heads
        if rotary and head_dim % 2:
            raise ValueError(
                f"MultiHeadAttention: expected an even number of features in each head for rotary positions, got "
                f"{embed_dim} / {num_heads} = {head_dim}"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, shared
        self.context_dim = embed_dim if context_dim is None else context_dim
        self.query = Linear(embed_dim, embed_dim, bias)
        self.split = SplitHeads(head_dim)
        self.key = Linear(self.context_dim, shared * head_dim, bias)
        self.value = Linear(self.context_dim, shared * head_dim, bias)
        self.rotary = RotaryEmbedding() if rotary is True else rotary or None
        self.attention = ScaledDotProductAttention(causal, dropout)
        self.merge = MergeHeads()
        self.output = Linear(embed_dim, embed_dim, bias)

    def settings(self) -> str:
        shared = "" if self.num_kv_heads == self.num_heads else f", {self.num_kv_heads} of keys"
        return f"{self.embed_dim}, {self.num_heads} heads{shared}"

    def __call__(self, x: Any, context: Any = None, mask: Any = None, bias: Any = None) -> Any:
        if mask is not None:
            self.check_mask(mask)
        self.check(x, self.embed_dim)
        for extra in (context, mask):
            if extra is not None:
                self.check(extra, self.context_dim)
        if bias is not None and getattr(bias, "ndim", 4) != 4:
            raise self.wrong("a bias (batch, heads, queries, keys), where any axis may be 1", bias)
        return super().__call__(x, *(extra for extra in (context, mask, bias) if extra is not None))

    def forward(self, x: Any, *given: Any) -> Any:
        context, mask, bias = _told_apart(x, given)
        q, k, v = self.split(self.query(x)), self.split(self.key(context)), self.split(self.value(context))
        memories = current()
        if self.rotary is not None:
            places = () if memories is None else (memories.places(self, k.shape[2]),)
            q, k = self.rotary(q, *places), self.rotary(k, *places)
        if memories is not None:
            k, v, seen = memories.joined(self, k, v)
            mask = seen if mask is None else mask
        return self.output(self.merge(self.attention(q, k, v, mask, bias)))

    def check(self, x: Any, features: int) -> None:
        """Raise for an input or a context of another shape, where shapes are known already."""
        shape = getattr(x, "shape", None)
        if shape is None or is_mask(x):
            return
        if len(shape) != 3 or shape[-1] != features:
            hint = "a single one needs a batch axis: x[None]" if len(shape) == 2 and shape[-1] == features else ""
            raise self.wrong(f"sequences (batch, length, {features})", tuple(shape), hint)

    def check_mask(self, mask: Any) -> None:
        """Raise for a mask that does not hold bools."""
        if not is_mask(mask):
            hint = "use mask.astype(mx.bool_), where True means that a place may be attended to"
            raise TypeError(f"{self.title()}: expected a mask of bools, got {getattr(mask, 'dtype', mask)}; {hint}")


def _told_apart(x: Any, given: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """The context, x itself if none is given, the mask with an axis for the heads, or None, and the bias, or None."""
    context, mask, bias = x, None, None
    for extra in given:
        if is_mask(extra):
            mask = extra
        elif getattr(extra, "ndim", 3) == 4:
            bias = extra
        else:
            context = extra
    if mask is not None and mask.ndim < 4:
        mask = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
    return context, mask, bias


def split_heads(x: Any, head_dim: int) -> Any:
    """(N, T, H D) -> (N, H, T, D): neighbouring features become the heads. dx = dy, put back.

    >>> split_heads(mx.zeros((2, 3, 8)), 4).shape
    (2, 2, 3, 4)
    """
    return SplitHeads(head_dim)(x)


def merge_heads(x: Any) -> Any:
    """(N, H, T, D) -> (N, T, H D): the features of all heads side by side. dx = dy, taken apart.

    >>> merge_heads(mx.zeros((2, 2, 3, 4))).shape
    (2, 3, 8)
    """
    return MergeHeads()(x)
