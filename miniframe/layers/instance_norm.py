"""InstanceNorm: every channel of every image on its own, as networks that transfer a style use it."""

from __future__ import annotations

import mlx.core as mx

from ..core.cells import Parameter
from ..core.module import Module
from .normalization import affine, affine_backward, check_features, normalize, normalize_backward


class InstanceNorm(Module):
    """Normalize each channel of each image over its pixels; needs no batch.

        x̂ = (x - μ) / √(σ² + ε) with μ, σ² of one image and channel,   y = γ x̂ + β
        dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + ε), dx̂ = γ dy

    Ulyanov, Vedaldi & Lempitsky 2016. With ``affine``, ``weight`` (γ) starts at 1, ``bias`` (β) at 0, both
    (num_features,). GroupNorm with a group for each channel computes the same.

    Args:
        num_features: last axis of the input, C.
        eps: ε; 1e-5 by default.
        affine: whether γ and β are learned; as in PyTorch, they are not by default.

    Shapes: (N, ..., C) -> the same; at least one axis between, with more than one pixel.

    Raises:
        ValueError: for an input whose last axis is not num_features, or of which a channel has a single pixel.

    >>> InstanceNorm(1)(mx.array([[[1.0], [3.0]]])).round(3).tolist()
    [[[-1.0], [1.0]]]
    """

    samples_apart = True

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False) -> None:
        if num_features < 1 or eps < 0:
            raise ValueError(f"InstanceNorm: expected num_features >= 1 and eps >= 0, got {num_features}, eps={eps}")
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(mx.ones((num_features,))) if affine else None
        self.bias = Parameter(mx.zeros((num_features,))) if affine else None

    def settings(self) -> str:
        return str(self.num_features) + ("" if self.weight else ", not affine")

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        pixels = tuple(range(1, x.ndim - 1))
        x_hat, inverse, _, _ = normalize(x, pixels, self.eps)
        self.saved = x_hat, inverse
        return affine(x_hat, self.weight, self.bias)

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse = self.saved
        pixels = tuple(range(1, x_hat.ndim - 1))
        grad = affine_backward(grad_output, x_hat, self.weight, self.bias)
        return normalize_backward(grad, x_hat, inverse, pixels)

    def check(self, x: mx.array) -> None:
        check_features(self, x, self.num_features)
        if x.size <= x.shape[0] * self.num_features:
            raise self.wrong("more than one pixel in each channel", x, "of one number nothing is left: use LayerNorm")
