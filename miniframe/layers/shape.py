"""Layers that only rearrange numbers: forward reshapes, backward reshapes back."""

from __future__ import annotations

import mlx.core as mx

from ..core.module import Module


class Flatten(Module):
    """(N, ...) -> (N, product of the rest), row by row.

    >>> Flatten()(mx.zeros((5, 28, 28, 1))).shape
    (5, 784)
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim < 2:
            raise self.wrong("input (batch, ...)", x)
        self.saved = x.shape
        return mx.flatten(x, start_axis=1)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)


class Reshape(Module):
    """(N, ...) -> (N, *shape): another shape for each sample; one entry may be -1, "what is left".

    Args:
        shape: of one sample, without the batch.

    >>> Reshape(4, -1)(mx.zeros((5, 12))).shape
    (5, 4, 3)
    """

    def __init__(self, *shape: int) -> None:
        if not shape or shape.count(-1) > 1:
            raise ValueError(f"Reshape: expected a sample shape with at most one -1, got {shape}")
        self.shape = shape

    def settings(self) -> str:
        return ", ".join(map(str, self.shape))

    def forward(self, x: mx.array) -> mx.array:
        known = 1
        for size in self.shape:
            known *= max(size, 1)
        per_sample = x.size // max(x.shape[0], 1) if x.ndim else 0
        if x.ndim < 1 or (per_sample % known if -1 in self.shape else per_sample != known):
            raise self.wrong(f"input (batch, ...) whose samples reshape to {self.shape}", x)
        self.saved = x.shape
        return x.reshape(x.shape[0], *self.shape)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return grad_output.reshape(shape)
