"""Data that comes batch by batch: any iterable, for what does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.checks import said_by
from .batch import Batch, Batches, batch_samples
from .prefetch import read_ahead


class StreamData:
    """Any iterable of batches (x, y) or (x, y, sample_weight), for data that does not fit in memory.

    Only a few batches are in memory at a time. Batches of NumPy arrays are fetched on a thread of their own, so that
    reading and arithmetic happen at the same time; see :func:`miniframe.data.prefetch.read_ahead`.

    Args:
        source: a list, a PyTorch DataLoader, a generator (good for one epoch), or a function that returns an
            iterator (called for every epoch).
        where: the name that errors begin with.

    Attributes:
        latest: the batch that was given out last; None before the first.
        examine: called with every batch before it is given out, and with a list that says of each input and of the
            target whether its numbers are there already (arrays of MLX may still be under way).
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]], where: str = "fit") -> None:
        self.source, self.where = source, where
        self.latest: Batch | None = None
        self.examine: Callable[[Batch, list[bool]], None] | None = None

    def steps(self, batch_size: int) -> int | None:
        """How many batches an epoch has, or None where the source does not say."""
        return len(self.source) if isinstance(self.source, Sized) else None

    def first(self) -> Any:
        """The first batch, if looking at it does not use the source up, else None."""
        return self.source[0] if isinstance(self.source, Sequence) and len(self.source) else None

    def batch_inputs(self, batch_size: int = 0) -> None:
        """How large batches are is not known before they are read."""

    def epoch(self, batch_size: int = 0, rng: np.random.Generator | None = None) -> Batches:
        """The source's own batches, in its own order and sizes."""
        count = 0
        source = iter(self.source() if callable(self.source) else self.source)
        for count, batch in enumerate(read_ahead(source), start=1):
            self.latest = self.convert(batch, count)
            yield self.latest
        if count == 0:
            raise ValueError(
                f"{self.where}: the iterable gave no batches; a generator can be read only once, so for several "
                "epochs pass a function that returns a new one"
            )

    def convert(self, batch: Any, count: int) -> Batch:
        """What the source gave, as arrays; errors name the number of the batch."""
        where = f"{self.where}: batch {count}"
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            got = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
            hint = "; arrays are given as fit(x, y) and validation_data=(x, y)" if hasattr(batch, "shape") else ""
            raise ValueError(f"{where}: expected (x, y) or (x, y, sample_weight), got {got}{hint}")
        x, *rest = batch
        several = isinstance(x, (tuple, list)) and not np.isscalar(x[0]) and hasattr(x[0], "shape")
        inputs: Any = tuple(as_array(part, where) for part in x) if several else as_array(x, where)
        others = [as_array(part, where) for part in rest]
        samples = batch_samples((inputs,))
        if samples == 0:
            raise ValueError(f"{where}: expected at least one sample, got none")
        for part in others:
            if part.ndim == 0 or part.shape[0] != samples:
                raise ValueError(f"{where}: expected {samples} samples as in x, got shape {part.shape}")
        if self.examine is not None:
            known = [not isinstance(part, mx.array) for part in (*(x if several else (x,)), rest[0])]
            with said_by(where):
                self.examine((inputs, *others), known)
        return (inputs, *others)
