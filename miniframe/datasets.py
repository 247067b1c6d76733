"""Small data sets, made from a seed."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np


def disk(n: int, seed: int = 0) -> tuple[mx.array, mx.array]:
    """Points in the unit square, labelled by whether they lie in a disk of half its area.

    The disk is centred on (0.5, 0.5) and has radius 1/√(2π).

    Args:
        n: how many points.
        seed: of the random numbers.

    Returns:
        (n, 2) float32 points, uniform in [0, 1)², and (n,) int32 labels, 1 inside.

    >>> x, labels = disk(1000, seed=0)
    >>> x.shape, labels.shape, 0.45 < labels.mean().item() < 0.55
    ((1000, 2), (1000,), True)
    """
    if n < 1:
        raise ValueError(f"disk: expected at least 1 point, got {n}")
    points = np.random.default_rng(seed).random((n, 2), dtype=np.float32)
    inside = ((points - 0.5) ** 2).sum(axis=1) < 1 / (2 * math.pi)
    return mx.array(points), mx.array(inside.astype(np.int32))
