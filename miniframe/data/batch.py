"""A batch, as everything that trains or evaluates sees it: a tuple (x, y) or (x, y, sample_weight)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

Batch = tuple[Any, ...]  # x may itself be a tuple of arrays, for a model with several inputs
Batches = Generator[Batch, None, None]


def batch_samples(batch: Batch) -> int:
    """The number of samples in a batch."""
    x = batch[0]
    return (x[0] if isinstance(x, tuple) else x).shape[0]


def batch_bytes(batch: Batch) -> int:
    """The memory that a batch takes."""
    total = 0
    for part in batch:
        total += batch_bytes(part) if isinstance(part, tuple) else part.nbytes
    return total
