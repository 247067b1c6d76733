"""Attention's classical mistakes: its gradient is written down with each of them, and laid beside what backward gave.

First the layer is recognized by its numbers: does it compute softmax(Q Kᵀ c) V, with which factor c and which mask? So
this works for attention that somebody has written himself, whatever he calls it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .experiment import Experiment
from .fitted import same
from .report import Row


@dataclass
class Attention:
    """Y = P V with P = softmax(Q Kᵀ c), and who may see whom; ``late`` if the mask comes after the softmax."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    scale: float
    allowed: np.ndarray
    late: bool = False

    def full(self) -> np.ndarray:
        """The weights as they would be without a mask."""
        return _softmax(self.q @ _t(self.k) * self.scale)

    def weights(self) -> np.ndarray:
        if self.late:
            return np.where(self.allowed, self.full(), 0)
        scores = np.where(self.allowed, self.q @ _t(self.k) * self.scale, -math.inf)
        return np.where(self.allowed, _softmax(scores), 0)

    def output(self) -> np.ndarray:
        y: np.ndarray = self.weights() @ self.v
        return y

    def gradients(self, grad_scores: np.ndarray, scale: float, dy: np.ndarray) -> tuple[np.ndarray, ...]:
        """(dQ, dK, dV) for a gradient with respect to the scores, which scale multiplies."""
        return grad_scores * scale @ self.k, _t(grad_scores) * scale @ self.q, _t(self.weights()) @ dy


def attention_mistakes(check: Experiment, row: Row) -> str:
    """The words for the mistake that gives just this gradient, if the layer computes attention."""
    if row.name not in ("input 0", "input 1", "input 2"):
        return ""
    found = _recognized(check)
    if found is None:
        return ""
    if found.late:
        return (
            "mask after the softmax: forward takes weights away when they have been made to sum to 1 already; "
            "put -inf (or a very negative number) where the mask is False before the softmax"
        )
    index, dy = int(row.name[-1]), np.array(check.upstream[0])
    for words, gradients in _mistakes(found, dy):
        if same(gradients[index], row.by_hand) and not same(gradients[index], row.numeric):
            return words
    right = _right(found, dy)[index]
    if right.ndim == 4 and right.shape[1] > 1:
        batch, heads, length, features = right.shape
        mixed = right.reshape(batch, length, heads, features).swapaxes(1, 2)
        back = right.swapaxes(1, 2).reshape(right.shape)
        if same(mixed, row.by_hand) or same(back, row.by_hand):
            return f"heads mixed up: {HEADS}"
    return ""


HEADS = (
    "backward reshapes between (batch, heads, length, ...) and (batch, length, heads, ...), which only a transpose of "
    "the two axes does"
)


def mixed_heads(check: Experiment, row: Row) -> str:
    """A layer that only cuts features into heads, or joins them, and whose backward forgets the transpose."""
    if row.name != "input" or len(check.outputs) != 1 or check.outputs[0].size != row.by_hand.size:
        return ""
    dy = np.array(check.upstream[0])
    shapes = {len(row.shape), dy.ndim}
    if shapes == {3, 4} and same(dy.reshape(row.shape), row.by_hand):
        there = row.shape if len(row.shape) == 4 else dy.shape  # (batch, heads, length, features)
        batch, heads, length, features = there
        turned = dy.swapaxes(1, 2) if dy.ndim == 4 else dy.reshape(batch, length, heads, features).swapaxes(1, 2)
        if same(turned.reshape(row.shape), row.numeric):
            return f"heads mixed up: {HEADS}"
    return ""


def _recognized(check: Experiment) -> Attention | None:
    """The attention that gives the outputs of the check, if there is one."""
    if len(check.inputs) not in (3, 4) or len(check.outputs) != 1:
        return None
    if not all(hasattr(x, "shape") for x in check.inputs):
        return None
    (q, k, v), given = (np.array(x) for x in check.inputs[:3]), [np.array(x) for x in check.inputs[3:]]
    y = np.array(check.outputs[0])
    if q.ndim not in (3, 4) or (k.ndim, v.ndim) != (q.ndim, q.ndim) or q.shape[:-2] != k.shape[:-2]:
        return None
    if q.shape[-1] != k.shape[-1] or k.shape[:-1] != v.shape[:-1] or y.shape != (*q.shape[:-1], v.shape[-1]):
        return None
    if any(mask.dtype != bool or not _broadcasts(mask.shape, (*q.shape[:-1], k.shape[-2])) for mask in given):
        return None
    for allowed in _masks(q.shape[-2], k.shape[-2], given):
        for scale in (1 / math.sqrt(q.shape[-1]), 1.0, 1 / q.shape[-1]):
            for late in (False, True):
                found = Attention(q, k, v, scale, allowed, late)
                if same(found.output(), y):
                    return found
    return None


def _masks(queries: int, keys: int, given: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Who may see whom: all, those that came before, those that the mask given allows, and both."""
    everybody = np.ones((queries, keys), dtype=bool)
    earlier = np.tri(queries, keys, keys - queries, dtype=bool)
    for own in given or [everybody]:
        yield own
        yield own & earlier


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _right(a: Attention, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    p, dp = a.weights(), dy @ _t(a.v)
    return a.gradients(p * (dp - _sum(dp * p)), a.scale, dy)


def _mistakes(a: Attention, dy: np.ndarray) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """(words, gradients) for each mistake: what backward gives that makes it, and nothing else wrong."""
    p, full, dp = a.weights(), a.full(), dy @ _t(a.v)
    ds = p * (dp - _sum(dp * p))
    dq, dk, dv = a.gradients(ds, a.scale, dy)
    if a.scale != 1:
        words = f"the scores are multiplied by {a.scale:.4g}, 1 over the root of the features,"
        if not math.isclose(a.scale, 1 / math.sqrt(a.q.shape[-1])):
            words = f"the scores are multiplied by {a.scale:.4g}"
        yield f"no scaling: {words} in forward, and in backward not", a.gradients(ds, 1.0, dy)
        yield f"scaled twice: {words} in forward, and twice in backward", a.gradients(ds, a.scale**2, dy)
    if not a.allowed.all():
        unmasked = replace(a, allowed=np.ones_like(a.allowed))
        yield (
            "mask not applied in backward: this is the gradient that it would be if all could see all; use the weights "
            "of forward, which are 0 where the mask is False",
            _right(unmasked, dy),
        )
        late = np.where(a.allowed, dp, 0)
        yield (
            "mask after the softmax: this is the gradient of weights that are masked when they sum to 1 already, and "
            "forward masks the scores",
            a.gradients(full * (late - _sum(late * full)), a.scale, dy),
        )
    yield "cross terms missing: dS = P (dP - Σ dP P), and the sum is left out", a.gradients(p * dp, a.scale, dy)
    yield (
        "cross terms missing: the softmax is derived element by element, as P (1 - P) dP; it is dS = P (dP - Σ dP P)",
        a.gradients(p * (1 - p) * dp, a.scale, dy),
    )
    yield "the derivative of the softmax is missing: dS = P (dP - Σ dP P)", a.gradients(dp, a.scale, dy)
    if ds.shape[-1] == ds.shape[-2]:
        nothing = np.zeros_like(dq)
        yield "not transposed: dK = dSᵀ Q", (nothing, ds * a.scale @ a.q, np.zeros_like(dv))
        yield "not transposed: dV = Pᵀ dY", (nothing, np.zeros_like(dk), p @ dy)
        yield "transposed: dQ = dS K", (_t(ds) * a.scale @ a.k, np.zeros_like(dk), np.zeros_like(dv))


def _t(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2)


def _sum(x: np.ndarray) -> np.ndarray:
    total: np.ndarray = x.sum(axis=-1, keepdims=True)
    return total


def _softmax(scores: np.ndarray) -> np.ndarray:
    top = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isfinite(top), top, 0))
    return powers / np.maximum(_sum(powers), 1e-300)
