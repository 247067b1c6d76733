"""Stochastic depth: in training, leave out whole residual branches, so that short paths learn, too."""

from __future__ import annotations

import mlx.core as mx

from ..core.checks import real, shown
from ..core.module import Module
from .random_masks import random_mask


class StochasticDepth(Module):
    """Zero whole samples with probability p and divide the others by 1 - p; in evaluation mode the identity.

        y = x m / (1 - p), m ~ Bernoulli(1 - p), one for each sample        dx = dy m / (1 - p), with the same m

    At the end of a residual branch, where y = 0 means that the block is skipped. Huang et al. 2016.

    Args:
        p: the probability of dropping a sample, 0 <= p < 1.
        mode: "row" draws for each sample, "batch" once for all of them.

    Shapes: (N, ...) -> the same.

    >>> layer = StochasticDepth(0.5)
    >>> y = layer(mx.ones((1000, 2)))
    >>> sorted(set(y[:, 0].tolist())), mx.array_equal(y[:, 0], y[:, 1]).item()
    ([0.0, 2.0], True)
    >>> layer.eval()(mx.ones((3,))).tolist()
    [1.0, 1.0, 1.0]
    """

    samples_apart = True

    def __init__(self, p: float, mode: str = "row") -> None:
        real("StochasticDepth", p=p)
        if not 0 <= p < 1:
            raise ValueError(f"StochasticDepth: expected a probability 0 <= p < 1, got {p}")
        if mode not in ("row", "batch"):
            raise ValueError(f'StochasticDepth: expected mode "row" or "batch", got {shown(mode)}')
        self.p, self.mode = p, mode

    def settings(self) -> str:
        return f"{self.p}, {self.mode}"

    def forward(self, x: mx.array) -> mx.array:
        if not self.training or self.p == 0:
            self.saved = None
            return x
        keep = 1 - self.p
        shape = [1] * x.ndim
        if self.mode == "row" and x.ndim:
            shape[0] = x.shape[0]
        mask = random_mask(keep, shape).astype(x.dtype) / keep
        self.saved = mask
        return x * mask

    def backward(self, grad_output: mx.array) -> mx.array:
        mask = self.saved
        return grad_output if mask is None else grad_output * mask
