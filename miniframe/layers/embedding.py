"""Embedding: a learned vector for each of a number of symbols, such as words."""

from __future__ import annotations

import math

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.checks import whole
from ..core.module import Module
from ..core.ranges import first_outside, readable
from ..core.sums import sums_at
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
        ValueError: for a number outside 0..num_embeddings - 1. Inside a compiled step, where it cannot be seen, its row
            is NaN.

    >>> layer = Embedding(10, 3)
    >>> layer(mx.array([[1, 2, 1]])).shape
    (1, 3, 3)
    >>> layer.backward(mx.ones((1, 3, 3)))
    >>> layer.weight.grad[:3].tolist()
    [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]
    """

    reads_whole_numbers = True  # so fit lets it look at all its inputs before the first step

    samples_apart = True

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        whole("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(initializers.normal((num_embeddings, embedding_dim), 1.0))

    def settings(self) -> str:
        return f"{self.num_embeddings} -> {self.embedding_dim}"

    def forward(self, x: mx.array) -> mx.array:
        if self.check(x):
            self.saved = x, None
            return self.weight.value[x]
        x = x.astype(mx.int32) if x.dtype.size < 4 else x  # so that the last row's number fits
        rows = mx.clip(x, 0, self.num_embeddings - 1)  # nobody has looked at the numbers: no other memory is touched
        exists = (x == rows)[..., None]
        self.saved = rows, exists
        return mx.where(exists, self.weight.value[rows], math.nan)

    def backward(self, grad_output: mx.array) -> None:
        x, exists = self.saved
        grad = grad_output if exists is None else mx.where(exists, grad_output, math.nan)
        self.weight.accumulate(sums_at(x, grad, self.num_embeddings))

    def check(self, x: mx.array) -> bool:
        """Raise unless the input holds numbers of rows; returns whether they could be looked at."""
        if is_floating(x) or x.dtype == mx.bool_:
            raise TypeError(f"{self.title()}: expected integers, got {x.dtype}; use mx.array(x).astype(mx.int32)")
        numbers = readable(x)
        if numbers is not None and (bad := first_outside(numbers, 0, self.num_embeddings - 1)):
            raise ValueError(f"{self.title()}: expected numbers in 0..{self.num_embeddings - 1}, got {bad}")
        return numbers is not None
