"""The fully connected layer, y = x Wᵀ + b: the layer that all others are measured against."""

from __future__ import annotations

import math

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.checks import whole
from ..core.module import Module
from ..core.sums import products, total
from . import initializers


class Linear(Module):
    """A weighted sum of all inputs for each output.

        Y = X Wᵀ + b

    ``weight`` is (out_features, in_features) and ``bias`` (out_features,); both start from
    U(-1/√in_features, 1/√in_features), as PyTorch's do.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        bias: whether to add b.

    Shapes: (N, ..., in_features) -> (N, ..., out_features).

    Raises:
        ValueError: for an input whose last axis is not in_features.

    >>> layer = Linear(2, 3)
    >>> layer(mx.zeros((5, 2))).shape
    (5, 3)
    >>> layer.backward(mx.ones((5, 3))).shape, layer.weight.grad.shape, layer.bias.grad.tolist()
    ((5, 2), (3, 2), [5.0, 5.0, 5.0])
    """

    samples_apart = True

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        whole("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(initializers.uniform((out_features, in_features), bound))
        self.bias = Parameter(initializers.uniform((out_features,), bound)) if bias else None

    def settings(self) -> str:
        return f"{self.in_features} -> {self.out_features}" + ("" if self.bias else ", no bias")

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        self.saved = x
        if self.bias is None:
            return x @ self.weight.value.T
        return mx.addmm(self.bias.value, x, self.weight.value.T)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved

        # to the parameters: dW = dYᵀ X and db = Σ dY, over all samples
        rows = x.flatten(0, -2)
        grad_rows = grad_output.flatten(0, -2)
        self.weight.accumulate(products(grad_rows, rows))
        if self.bias is not None:
            self.bias.accumulate(total(grad_rows, axis=0))

        # to the input: dX = dY W
        return grad_output @ self.weight.value

    def check(self, x: mx.array) -> None:
        if x.ndim < 2 or x.shape[-1] != self.in_features:
            row = "x.reshape(-1, 1)" if self.in_features == 1 else "x[None]"
            hint = "insert Flatten() before it" if x.ndim > 2 else f"a single sample needs a batch axis: {row}"
            raise self.wrong(f"input (batch, {self.in_features})", x, hint if x.ndim != 2 else "")
        if not is_floating(x):
            raise TypeError(f"{self.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return math.prod(output_shape) * self.in_features
