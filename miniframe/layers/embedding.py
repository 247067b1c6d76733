"""Embedding: a learned vector for each of a number of symbols, such as words."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.module import Module
from . import initializers


class Embedding(Module):
    """Look up a row of the table for each whole number: y[..., :] = W[x[...]].

    The derivative of a choice of rows puts each row's gradient back in its place: dW[k] = Σ dy over all places where
    x is k. Whole numbers have no gradient, so ``backward`` returns None. ``weight`` is (num_embeddings,
    embedding_dim), from N(0, 1) as PyTorch's.

    Args:
        num_embeddings: how many symbols there are; they are numbered from 0.
        embedding_dim: length of each vector, D.

    Shapes: (N, ...) integers -> (N, ..., D).

    Raises:
        TypeError: for an input that does not hold integers.
        ValueError: for a number outside 0..num_embeddings - 1 (inside a compiled step, where it cannot be seen, its
            row becomes NaN).

    >>> layer = Embedding(10, 3)
    >>> layer(mx.array([[1, 2, 1]])).shape
    (1, 3, 3)
    >>> layer.backward(mx.ones((1, 3, 3)))
    >>> layer.weight.grad[:3].tolist()
    [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding: expected positive sizes, got {num_embeddings} and {embedding_dim}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(initializers.normal((num_embeddings, embedding_dim), 1.0))

    def settings(self) -> str:
        return f"{self.num_embeddings} -> {self.embedding_dim}"

    def forward(self, x: mx.array) -> mx.array:
        seen = self.check(x)
        if not seen:  # nobody can look at the numbers now, so a wrong one must show: its row becomes NaN
            x, wrong = mx.clip(x, 0, self.num_embeddings - 1), (x < 0) | (x >= self.num_embeddings)
        self.saved = x
        rows = self.weight.value[x]
        return rows if seen else rows + mx.where(wrong, math.nan, 0.0).astype(rows.dtype)[..., None]

    def backward(self, grad_output: mx.array) -> None:
        x = self.saved
        self.weight.accumulate(mx.zeros_like(self.weight.value).at[x].add(grad_output))

    def check(self, x: mx.array) -> bool:
        """Raise for what is no number of a row; False where the numbers cannot be seen, in a compiled step."""
        if is_floating(x) or x.dtype == mx.bool_:
            raise TypeError(f"{self.title()}: expected integers, got {x.dtype}; use x.astype(mx.int32)")
        if not x.size:
            return True
        try:
            numbers: Any = mx.stack([x.min(), x.max()]).tolist()
        except ValueError:  # while a step is compiled or vectorized
            return False
        low, high = numbers
        if low < 0 or high >= self.num_embeddings:
            raise ValueError(f"{self.title()}: expected numbers in 0..{self.num_embeddings - 1}, got {low}..{high}")
        return True
