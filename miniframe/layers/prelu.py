"""PReLU: a leaky ReLU that learns how much it leaks."""

from __future__ import annotations

import mlx.core as mx

from ..core.cells import Parameter
from ..core.module import Module
from ..core.sums import total
from .initializers import constant
from .normalization import check_features, check_real


class PReLU(Module):
    """y = x where x > 0, else a x. dx = dy or a dy, and da = Σ dy x over all x <= 0.

    He et al. 2015. ``weight`` (a), (num_parameters,), starts at ``start``. Decay of the weights would pull it to 0,
    which makes it a ReLU.

    Args:
        num_parameters: 1, one slope for all, or as many as the last axis of the input is long.
        start: where the slopes start; 0.25 by default.

    Shapes: (N, ..., C) -> the same.

    Raises:
        ValueError: for several slopes and an input whose last axis has another length.

    >>> layer = PReLU()
    >>> layer(mx.array([[-2.0, 2.0]])).tolist(), layer.backward(mx.array([[1.0, 1.0]])).tolist()
    ([[-0.5, 2.0]], [[0.25, 1.0]])
    >>> layer.weight.grad.tolist()
    [-2.0]
    """

    samples_apart = True

    def __init__(self, num_parameters: int = 1, start: float = 0.25) -> None:
        if num_parameters < 1:
            raise ValueError(f"PReLU: expected num_parameters >= 1, got {num_parameters}")
        self.num_parameters = num_parameters
        self.weight = Parameter(constant((num_parameters,), start))

    def settings(self) -> str:
        return str(self.num_parameters)

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        self.saved = x
        return mx.where(x > 0, x, self.weight.value * x)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved

        # to the slopes: da = Σ dy x where x <= 0
        leaked = mx.where(x > 0, 0, grad_output * x)
        one = self.num_parameters == 1
        self.weight.accumulate(total(leaked).reshape(1) if one else total(leaked.flatten(0, -2), axis=0))

        # to the input: dx = dy or a dy
        return mx.where(x > 0, grad_output, self.weight.value * grad_output)

    def check(self, x: mx.array) -> None:
        if self.num_parameters > 1:
            check_features(self, x, self.num_parameters)
        check_real(self, x)
