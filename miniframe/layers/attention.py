"""Attention: every place of a sequence asks all places of another one, and gets a mixture of what they answer."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..backend.exponential import softmax
from ..core.module import Module
from .arithmetic import unbroadcast
from .normalization import check_real
from .random_masks import random_mask


class ScaledDotProductAttention(Module):
    """For each query a mixture of the values, in which those count whose keys point the same way.

        S = Q Kᵀ / √D + B,   P = softmax(S) along the keys,   Y = P V

        dV = Pᵀ dY,   dP = dY Vᵀ,   dS = P (dP - Σ dP P),   dQ = dS K / √D,   dK = dSᵀ Q / √D

    Vaswani et al. 2017. Without the division, S would have the variance D, and the softmax would have next to no slope.
    The sum Σ dP P over the keys is Σ dY Y over the features, as Y = P V; the shorter one is taken (Dao et al. 2022).

    A mask says who may attend to whom: True where a query may see a key, as in PyTorch's function of the same name.
    What is masked gets the weight 0 and no gradient. A query that may see nothing gets zeros. ``causal`` hides what
    comes later: query t of T, which stand at the end of S keys, sees the keys 0 .. S - T + t.

    A bias B, if there is one, is added to the scores: how far apart two places are, say. It gets the gradient dS.

    With four axes, the second is that of the heads. The queries may then have several times as many heads as keys and
    values, so that neighbouring ones share a key (grouped queries, Ainslie et al. 2023).

    Args:
        causal: whether to hide the keys that come after a query.
        dropout: the probability with which each weight in P is dropped in training; see Dropout.
        scale: what S is multiplied by; 1/√D by default.

    Inputs: query, key, value, a mask of bools and a bias of real numbers, both of which may be left out.

    Shapes: (N, T, D), (N, S, D), (N, S, E) -> (N, T, E), or (N, H, T, D), (N, G, S, D), (N, G, S, E) -> (N, H, T, E)
    where G divides H; mask and bias are (T, S), or anything else that broadcasts to the shape of P.

    Raises:
        ValueError: for shapes that do not fit together.
        TypeError: for a mask that does not hold bools, or a bias that does.

    >>> layer = ScaledDotProductAttention(causal=True)
    >>> x = mx.array([[[1.0], [3.0], [5.0]]])
    >>> layer(mx.zeros((1, 3, 1)), mx.zeros((1, 3, 1)), x).tolist()
    [[[1.0], [2.0], [3.0]]]
    >>> layer.backward(mx.array([[[0.0], [1.0], [0.0]]]))[2].tolist()
    [[[0.5], [0.5], [0.0]]]
    """

    samples_apart = True

    def __init__(self, causal: bool = False, dropout: float = 0.0, scale: float | None = None) -> None:
        if not 0 <= dropout < 1:
            raise ValueError(f"ScaledDotProductAttention: expected a probability 0 <= dropout < 1, got {dropout}")
        self.causal, self.dropout, self.scale = causal, dropout, scale

    def settings(self) -> str:
        scale = "" if self.scale is None else f"scale={self.scale:g}"
        dropout = f"dropout={self.dropout}" if self.dropout else ""
        return ", ".join(filter(None, ("causal" if self.causal else "", dropout, scale)))

    def __call__(self, query: Any, key: Any, value: Any, mask: Any = None, bias: Any = None) -> Any:
        if mask is None and bias is not None:
            mask = mx.array(True)  # a bias is always the fifth input
        return super().__call__(query, key, value, *(extra for extra in (mask, bias) if extra is not None))

    def forward(
        self,
        query: mx.array,
        key: mx.array,
        value: mx.array,
        mask: mx.array | None = None,
        bias: mx.array | None = None,
    ) -> mx.array:
        self.check(query, key, value)
        scale = 1 / math.sqrt(query.shape[-1]) if self.scale is None else self.scale
        group = _heads(query) // _heads(key)  # how many heads of the queries share one of the keys
        if group > 1:
            key, value = mx.repeat(key, group, axis=1), mx.repeat(value, group, axis=1)
        scores = (query * scale) @ key.swapaxes(-1, -2)
        if bias is not None:
            scores = scores + self.checked_bias(bias, scores)
        allowed = self.allowed(scores, mask)
        if allowed is None:
            weights = softmax(scores)
        else:
            weights = softmax(scores + mx.where(allowed, 0, mx.finfo(scores.dtype).min).astype(scores.dtype))
            if mask is not None or scores.shape[-2] > scores.shape[-1]:
                weights = mx.where(allowed, weights, 0)  # a query that sees nothing has had equal ones
        kept = None
        if self.training and self.dropout > 0:
            kept = random_mask(1 - self.dropout, weights.shape).astype(weights.dtype) / (1 - self.dropout)
        extras = [None] * ((mask is not None) + (bias is not None))  # which get no gradient, or, a bias, its own
        output = (weights if kept is None else weights * kept) @ value
        summed = output if scores.shape[-1] >= 4 * output.shape[-1] else None  # backward's sum is over keys or features
        self.saved = query, key, value, weights, kept, summed, scale, group, extras, getattr(bias, "shape", None)
        return output

    def backward(self, grad_output: mx.array) -> tuple[mx.array | None, ...]:
        query, key, value, weights, kept, summed, scale, group, extras, bias_shape = self.saved

        # to the values, and to the weights: dV = Pᵀ dY and dP = dY Vᵀ
        grad_value = (weights if kept is None else weights * kept).swapaxes(-1, -2) @ grad_output
        grad_weights = grad_output @ value.swapaxes(-1, -2)
        if kept is not None:
            grad_weights = grad_weights * kept

        # through the softmax: dS = P (dP - Σ dP P), which is 0 wherever a mask has made P zero; Σ dP P = Σ dY Y
        terms = grad_weights * weights if summed is None else grad_output * summed
        grad_scores = weights * (grad_weights - terms.sum(axis=-1, keepdims=True))

        # to the bias: dB = dS, added up where one number served several scores
        if bias_shape is not None:
            extras = [None, unbroadcast(grad_scores, bias_shape)]

        # to the queries and keys: dQ = dS K / √D and dK = dSᵀ Q / √D
        grad_query = grad_scores @ key * scale
        grad_key = grad_scores.swapaxes(-1, -2) @ query * scale
        if group > 1:  # a shared key gets what comes from every head that uses it
            grad_key, grad_value = (_add_up(grad, group) for grad in (grad_key, grad_value))
        return grad_query, grad_key, grad_value, *extras

    def allowed(self, scores: mx.array, mask: mx.array | None) -> mx.array | None:
        """Who may see whom, as bools that broadcast to the scores; None if all may see all."""
        if mask is not None:
            if mask.dtype != mx.bool_:
                hint = "use mask.astype(mx.bool_), where True means that a query may see a key; what is added is bias="
                raise TypeError(f"{self.title()}: expected a mask of bools, got {mask.dtype}; {hint}")
            self.check_stretches("mask", mask, scores)
        if not self.causal:
            return mask
        queries, keys = scores.shape[-2:]
        earlier = mx.arange(keys) <= mx.arange(keys - queries, keys)[:, None]
        return earlier if mask is None else earlier & mask

    def checked_bias(self, bias: mx.array, scores: mx.array) -> mx.array:
        """What is added to the scores."""
        check_real(self, bias)
        self.check_stretches("bias", bias, scores)
        return bias

    def check_stretches(self, name: str, x: mx.array, scores: mx.array) -> None:
        """Raise for a mask or a bias that does not broadcast to the scores."""
        if not _broadcasts(x.shape, scores.shape):
            raise self.wrong(
                f"a {name} that broadcasts to {scores.shape}", x, "one row for each query, one column for each key"
            )

    def check(self, query: mx.array, key: mx.array, value: mx.array) -> None:
        shapes = query.shape, key.shape, value.shape
        for x in (query, key, value):
            if x.ndim not in (3, 4) or x.ndim != query.ndim:
                raise self.wrong("query, key and value (batch, length, features) or (batch, heads, ...)", shapes)
            check_real(self, x)
        if query.shape[-1] != key.shape[-1]:
            raise self.wrong("queries and keys with equally many features", shapes)
        if key.shape[:-1] != value.shape[:-1]:
            raise self.wrong("one value for each key", shapes)
        if query.shape[0] != key.shape[0] or _heads(query) % _heads(key):
            raise self.wrong("equal batches, and heads of queries that the heads of keys divide", shapes)

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Q Kᵀ and P V, for as many keys as there are queries."""
        return math.prod(input_shape) * input_shape[-2] + math.prod(output_shape) * output_shape[-2]


def _heads(x: mx.array) -> int:
    return x.shape[1] if x.ndim == 4 else 1


def _add_up(grad: mx.array, group: int) -> mx.array:
    """The sum over each group of neighbouring heads: the other way round than ``mx.repeat``."""
    batch, heads, *rest = grad.shape
    return grad.reshape(batch, heads // group, group, *rest).sum(axis=2)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be stretched to the target's."""
    fits = all(a in (1, b) for a, b in zip(reversed(shape), reversed(target)))
    return len(shape) <= len(target) and fits


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    causal: bool = False,
    dropout: float = 0.0,
    scale: float | None = None,
    training: bool = True,
    bias: Any = None,
) -> Any:
    """softmax(Q Kᵀ / √D + B) V. dV = Pᵀ dY, dS = P (dP - Σ dP P) with dP = dY Vᵀ, dQ = dS K / √D, dK = dSᵀ Q / √D.

    >>> scaled_dot_product_attention(mx.zeros((1, 1, 2)), mx.zeros((1, 2, 2)), mx.array([[[1.0], [3.0]]])).tolist()
    [[[2.0]]]
    """
    return ScaledDotProductAttention(causal, dropout, scale).train(training)(query, key, value, mask, bias)
