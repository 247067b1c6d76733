"""Positions missing: a transformer for which the words of a sentence are a heap, noticed before the first step.

Attention asks what a token is, never where it stands. Without positions (added to the tokens, rotary, ...) a model
gives the places behind some tokens, and the whole sequence, the same numbers in whatever order these tokens come.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ..core import random
from ..core.arrays import is_floating
from ..core.module import Module
from ..core.node import Node
from ..core.untouched import untouched
from ..data.arrays import ArrayData
from ..graph.passes import Pass
from ..layers import ScaledDotProductAttention, Softmax

SAMPLES = 4  # sequences in which two tokens change places
SAME = 1e-3  # of what a token changes: less comes from rounding
NOISE = 0.1  # on all weights while the model is looked at: positions that begin at 0 will learn


def positions_missing(model: Module, data: ArrayData) -> bool:
    """Whether a model with attention gives the same numbers wherever its tokens stand.

    Two tokens change places. In a model without positions the outputs at the places behind them stay what they were,
    and so does an output for the whole sequence, though these tokens do count: another one in their stead changes them.
    A mask that hides what comes later may tell a second layer of attention the order; such a model is not named.

    >>> from miniframe import Embedding, Linear, MultiHeadAttention, Sequential
    >>> x = mx.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]])
    >>> positions_missing(Sequential(Embedding(9, 8), MultiHeadAttention(8, 2), Linear(8, 9)), ArrayData(x, x))
    True
    """
    x = data.first(SAMPLES)[0]
    place = _place(x) if isinstance(x, mx.array) else None
    if place is None:
        return False
    with untouched(model):
        model.eval()
        seen = Pass(model, x, "fit")
        if not isinstance(seen.output, mx.array) or not any(_attends(node, x.shape[1]) for node in seen.nodes):
            return False
        _shake(model)
        order = list(range(x.shape[1]))
        twice = [place, *order[1:]]
        order[0], order[place] = place, 0
        was, other_order, other_token = model(x), model(x[:, mx.array(order)]), model(x[:, mx.array(twice)])
    behind = place + 1 if was.ndim > 2 and was.shape[1] == x.shape[1] else 0
    a, b, c = (np.array(y.astype(mx.float32)) for y in (was, other_order, other_token))
    if behind:
        a, b, c = a[:, behind:], b[:, behind:], c[:, behind:]
    counts = np.linalg.norm(c - a)
    return bool(counts > 0 and np.linalg.norm(b - a) <= SAME * counts)


def _place(x: mx.array) -> int | None:
    """The first place, but not the last, whose token is another than the first one; None where x is no sequences."""
    if x.ndim not in (2, 3) or x.shape[1] < 3 or (x.ndim == 2) is is_floating(x):
        return None
    values = np.array(x.astype(mx.float32))
    return next((t for t in range(1, x.shape[1] - 1) if (values[:, t] != values[:, 0]).any()), None)


def _shake(model: Module) -> None:
    random.seed(0)
    for parameter in model.parameters():
        if is_floating(parameter.value):
            noise = mx.random.normal(parameter.shape).astype(parameter.value.dtype)
            parameter.value = parameter.value + NOISE * noise


def _attends(node: Node, length: int) -> bool:
    """Whether a call is attention over all places, also where somebody has written it himself."""
    if isinstance(node.module, ScaledDotProductAttention):
        return True
    return isinstance(node.module, Softmax) and node.shape[-2:] == (length, length)
