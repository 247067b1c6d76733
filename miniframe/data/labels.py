"""Class numbers as rows that a network can be compared with."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.arrays import as_array, is_floating
from ..core.ranges import first_outside


def one_hot(labels: Any, num_classes: int) -> mx.array:
    """Rows of the identity matrix: label k becomes a 1 in column k. (N,) integers -> (N, num_classes) float32.

    >>> one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = as_array(labels, where="one_hot")
    if is_floating(labels):
        raise TypeError(f"one_hot: expected integer labels, got {str(labels.dtype).split('.')[-1]}")
    if bad := first_outside(labels, 0, num_classes - 1):
        raise ValueError(f"one_hot: expected labels in 0..{num_classes - 1}, got {bad}")
    return (labels[..., None] == mx.arange(num_classes)).astype(mx.float32)
