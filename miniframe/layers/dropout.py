"""Dropout: in training, switch off random activations so that no unit can rely on a single other one."""

from __future__ import annotations

import mlx.core as mx

from ..core.checks import real
from ..core.module import Module
from .random_masks import random_mask


class Dropout(Module):
    """Zero each element with probability p and divide the others by 1 - p; in evaluation mode the identity.

        y = x m / (1 - p), m ~ Bernoulli(1 - p)        dx = dy m / (1 - p), with the same m

    Srivastava et al. 2014, in the "inverted" form, which leaves the expected value alone.

    Args:
        p: the probability of dropping an element, 0 <= p < 1; 0.5 by default.

    >>> layer = Dropout(0.5)
    >>> sorted(set(layer(mx.ones((1000,))).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(mx.ones((3,))).tolist()
    [1.0, 1.0, 1.0]
    """

    samples_apart = True

    def __init__(self, p: float = 0.5) -> None:
        real("Dropout", p=p)
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: expected a probability 0 <= p < 1, got {p}")
        self.p = p

    def settings(self) -> str:
        return str(self.p)

    def forward(self, x: mx.array) -> mx.array:
        if not self.training or self.p == 0:
            self.saved = None
            return x
        keep = 1 - self.p
        mask = random_mask(keep, x.shape).astype(x.dtype) / keep
        self.saved = mask
        return x * mask

    def backward(self, grad_output: mx.array) -> mx.array:
        mask = self.saved
        return grad_output if mask is None else grad_output * mask
