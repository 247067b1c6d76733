"""Arrays in files, larger than memory: read in batches, in an order that is random, and that disks can read quickly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .arrays import check_samples, named_parts
from .batch import Batch, Batches
from .streams import StreamData

MIXED = 16  # blocks that are in memory at the same time, to be mixed


class MappedData(StreamData):
    """Memory-mapped arrays, such as ``np.load("x.npy", mmap_mode="r")``, of which only a few batches are in memory.

    Shuffled, the samples are drawn in two stages, as single samples from all over a file are slow to read: the file
    is cut into blocks of one batch, 16 random blocks are read, and their samples mixed. Samples that were neighbours
    in the file thus meet more often than others; in a file that is sorted by class, shuffle it once before.

    Args:
        x, y, sample_weight: as for ArrayData; at least one part of x is a ``numpy.memmap``.
        where: the name that errors begin with.
    """

    def __init__(self, x: Any, y: Any, sample_weight: Any = None, where: str = "fit") -> None:
        self.several = isinstance(x, tuple)
        parts = named_parts(x, y, sample_weight)
        self.arrays = {name: part if isinstance(part, np.memmap) else np.array(part) for name, part in parts.items()}
        check_samples(self.arrays, where)
        super().__init__((), where)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def steps(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def first(self) -> Batch:
        return self._batch([np.array(array[:1]) for array in self.arrays.values()])

    def epoch(self, batch_size: int = 1024, rng: np.random.Generator | None = None) -> Batches:
        self.source = self._in_order(batch_size) if rng is None else self._mixed(batch_size, rng)
        yield from super().epoch()

    def _in_order(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            yield self._batch([np.array(array[start : start + batch_size]) for array in self.arrays.values()])

    def _mixed(self, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        starts = rng.permutation(range(0, len(self), batch_size))
        for first in range(0, len(starts), MIXED):
            chosen = np.sort(starts[first : first + MIXED])
            blocks = [
                np.concatenate([array[start : start + batch_size] for start in chosen])
                for array in self.arrays.values()
            ]
            order = rng.permutation(len(blocks[0]))
            for start in range(0, len(order), batch_size):
                yield self._batch([block[order[start : start + batch_size]] for block in blocks])

    def _batch(self, parts: list[np.ndarray]) -> Batch:
        inputs = sum(name.startswith("x") for name in self.arrays)
        return (tuple(parts[:inputs]) if self.several else parts[0], *parts[inputs:])
