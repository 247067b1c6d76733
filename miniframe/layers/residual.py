"""Residual connections: what a block computes is added to what it was given."""

from __future__ import annotations

from typing import Any

from ..core.module import Module


class Residual(Module):
    """y = block(x) + shortcut(x). dx is the sum of what comes back along both ways.

    He et al. 2015. It only composes other modules, so its backward is the recorded calls, last to first.

    Args:
        block: any module.
        shortcut: the other way round, such as a 1x1 convolution where the block changes the shape; by default x
            itself.

    >>> import mlx.core as mx
    >>> from miniframe import Identity
    >>> layer = Residual(Identity())
    >>> layer(mx.array([[1.0, 2.0]])).tolist(), layer.backward(mx.array([[1.0, 1.0]])).tolist()
    ([[2.0, 4.0]], [[2.0, 2.0]])
    """

    samples_apart = True

    def __init__(self, block: Module, shortcut: Module | None = None) -> None:
        self.block, self.shortcut = block, shortcut

    def forward(self, x: Any) -> Any:
        y = self.block(x)
        around = x if self.shortcut is None else self.shortcut(x)
        if None not in (y.shape, around.shape) and y.shape != around.shape:
            raise ValueError(
                f"Residual: expected the block to return the shape {around.shape} of the shortcut, got {y.shape}; "
                "give a shortcut that changes the shape alike, such as Conv2d(in, out, 1, stride)"
            )
        return y + around
