"""RMSNorm: LayerNorm without the shift, as most language models have it since 2023."""

from __future__ import annotations

import mlx.core as mx

from ..core.cells import Parameter
from ..core.module import Module
from .normalization import affine, affine_backward, check_features


class RMSNorm(Module):
    """Divide the features of each sample, or of each place in a sequence, by their root mean square.

        x̂ = x / √(mean(x²) + ε),   y = γ x̂          dx = (dx̂ - x̂ mean(dx̂ x̂)) / √(mean(x²) + ε), dx̂ = γ dy

    Zhang & Sennrich 2019. The mean is not taken away, so the derivative is LayerNorm's without mean(dx̂). ``weight``
    (γ), (num_features,), starts at 1.

    Args:
        num_features: last axis of the input, D.
        eps: ε; 1e-5 by default.
        affine: whether γ is learned; without it y = x̂.

    Shapes: (N, ..., D) -> the same.

    Raises:
        ValueError: for an input whose last axis is not num_features.

    >>> RMSNorm(2)(mx.array([[3.0, 3.0], [0.2, -0.2]])).round(2).tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """

    samples_apart = True

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = True) -> None:
        if num_features < 1 or eps < 0:
            raise ValueError(f"RMSNorm: expected num_features >= 1 and eps >= 0, got {num_features}, eps={eps}")
        self.num_features, self.eps = num_features, eps
        self.weight = Parameter(mx.ones((num_features,))) if affine else None

    def settings(self) -> str:
        return str(self.num_features) + ("" if self.weight else ", not affine")

    def forward(self, x: mx.array) -> mx.array:
        check_features(self, x, self.num_features)
        inverse = 1 / mx.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)
        x_hat = x * inverse
        self.saved = x_hat, inverse
        return affine(x_hat, self.weight, None)

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse = self.saved
        grad = affine_backward(grad_output, x_hat, self.weight, None)
        return (grad - x_hat * (grad * x_hat).mean(axis=-1, keepdims=True)) * inverse
