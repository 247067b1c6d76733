"""The random masks of Dropout and its kin: of a whole batch, or what some of its samples have of that."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import mlx.core as mx

from ..core import random


class PartsOfBatch:
    """A batch that comes in parts. Its masks are drawn for all of it with the first part, on all streams in turn.

    Args:
        samples: of the whole batch.
        streams: on which the masks are drawn.
    """

    def __init__(self, samples: int, streams: Sequence[mx.Stream]) -> None:
        self.samples, self.streams = samples, streams
        self.masks: list[mx.array] = []
        self.start = self.stop = self.used = 0  # the part, and how many masks it has had

    @contextmanager
    def part(self, start: int, stop: int) -> Iterator[None]:
        """Inside, layers get the masks of these samples: first of the part from 0, then of the others."""
        self.start, self.stop, self.used = start, stop, 0
        before, _this_thread.parts = _this_thread.parts, self
        try:
            yield
        finally:
            _this_thread.parts = before

    def mask(self, keep: float, shape: Sequence[int]) -> mx.array:
        size = self.stop - self.start
        each, left = divmod(shape[0], size) if shape else (0, 1)  # rows of a sample, one below the other
        if self.start == 0:
            stream = self.streams[len(self.masks) % len(self.streams)]
            self.masks.append(_drawn(keep, shape if left else (self.samples * each, *shape[1:]), stream))
        mask = self.masks[self.used] if self.used < len(self.masks) else None
        self.used += 1
        if mask is not None and mask.shape != tuple(shape) and mask.ndim:
            mask = mask[self.start * each : self.stop * each]
        if mask is None or mask.shape != tuple(shape):
            return _drawn(keep, shape)  # a part that draws otherwise than the first did
        return mask


class _ThisThread(threading.local):
    parts: PartsOfBatch | None = None


_this_thread = _ThisThread()


def random_mask(keep: float, shape: Sequence[int]) -> mx.array:
    """True with probability ``keep``, False otherwise.

    For a part of a batch it is what the mask of the whole batch has in its rows: which random numbers a sample meets
    does not depend on how many cores compute. A mask that is not of samples, one for the whole batch, is everybody's.

    >>> random.seed(0)
    >>> whole = random_mask(0.5, (6, 3))
    >>> random.seed(0)
    >>> parts = PartsOfBatch(6, [mx.default_stream(mx.default_device())])
    >>> with parts.part(0, 2):
    ...     first = random_mask(0.5, (2, 3))
    >>> with parts.part(2, 6):
    ...     rest = random_mask(0.5, (4, 3))
    >>> mx.array_equal(mx.concatenate([first, rest]), whole).item()
    True
    """
    parts = _this_thread.parts
    return _drawn(keep, shape) if parts is None else parts.mask(keep, shape)


def _drawn(keep: float, shape: Sequence[int], stream: mx.Stream | None = None) -> mx.array:
    return mx.random.bernoulli(keep, shape, key=random.next_key(), stream=stream)
