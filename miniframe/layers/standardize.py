"""Standardize: inputs with mean 0 and variance 1, by numbers measured on the training data."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.cells import Buffer
from ..core.module import Module


class Standardize(Module):
    """y = (x - mean) / std, feature by feature. dx = dy / std.

    Mean and standard deviation are those of the data that the layer was made from: the training data, and only these,
    as nothing about test data may be known. As the first layer of a model they are saved with it, so that ``predict``
    takes raw numbers. They do not learn. A feature that is always the same is only moved to 0.

    Args:
        x: training inputs (N, ..., features).

    Raises:
        ValueError: for an array without a feature axis, or with values that are not finite.

    >>> x = mx.array([[1.0, 10.0], [3.0, 30.0]])
    >>> Standardize(x)(x).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    samples_apart = True

    def __init__(self, x: Any) -> None:
        values = np.array(as_array(x, where="Standardize").astype(mx.float32), dtype=np.float64)
        if values.ndim < 2 or values.size == 0:
            hint = "; for a single feature use x.reshape(-1, 1)" if values.ndim == 1 else ""
            raise ValueError(f"Standardize: expected training inputs (N, ..., features), got {values.shape}{hint}")
        if not np.isfinite(values).all():
            raise ValueError("Standardize: expected finite numbers, got NaN or infinity")
        rows = values.reshape(-1, values.shape[-1])
        constant = rows.min(axis=0) == rows.max(axis=0)
        self.num_features = rows.shape[1]
        self.mean = Buffer(mx.array(np.where(constant, rows[0], rows.mean(axis=0)).astype(np.float32)))
        self.std = Buffer(mx.array(np.where(constant, 1, rows.std(axis=0)).astype(np.float32)))

    def settings(self) -> str:
        return str(self.num_features)

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.shape[-1] != self.num_features:
            raise self.wrong(f"input (batch, ..., {self.num_features})", x)
        self.saved = ()
        return (x - self.mean.value) / self.std.value

    def backward(self, grad_output: mx.array) -> mx.array:
        # dx = dy / std
        return grad_output / self.std.value
