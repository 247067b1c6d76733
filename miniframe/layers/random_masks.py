"""The random masks of Dropout and its kin: of a whole batch, or what some of its samples have of that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from ..core import random


class _Parts:
    """The masks of a batch that comes in parts: drawn for all of it with the first part, on all streams in turn."""

    def __init__(self, samples: int, streams: Sequence[mx.Stream]) -> None:
        self.samples, self.streams = samples, streams
        self.masks: list[mx.array] = []


class _ThisThread(threading.local):
    """``part`` is where the samples begin and end, the masks that are still to come, and the batch; None without."""

    part: tuple[int, int, Iterator[mx.array], _Parts] | None = None


_this_thread = _ThisThread()


def random_mask(keep: float, shape: Sequence[int]) -> mx.array:
    """True with probability ``keep``, False otherwise.

    For a part of a batch it is what the mask of the whole batch has in its rows: which random numbers a sample meets
    does not depend on how many cores compute. A mask that is not of samples, one for the whole batch, is everybody's.

    >>> random.seed(0)
    >>> whole = random_mask(0.5, (6, 3))
    >>> random.seed(0)
    >>> in_part = parts_of_batch(6, [mx.default_stream(mx.default_device())])
    >>> with in_part(0, 2):
    ...     first = random_mask(0.5, (2, 3))
    >>> with in_part(2, 6):
    ...     rest = random_mask(0.5, (4, 3))
    >>> mx.array_equal(mx.concatenate([first, rest]), whole).item()
    True
    """
    if _this_thread.part is None:
        return mx.random.bernoulli(keep, shape, key=random.next_key())
    start, stop, waiting, batch = _this_thread.part
    each, left = divmod(shape[0], stop - start) if shape else (0, 1)  # rows of a sample, one below the other
    if start == 0:
        whole = shape if left else (batch.samples * each, *shape[1:])
        stream = batch.streams[len(batch.masks) % len(batch.streams)]
        batch.masks.append(mx.random.bernoulli(keep, whole, key=random.next_key(), stream=stream))
    mask = batch.masks[-1] if start == 0 else next(waiting, None)
    for found in () if mask is None else (mask, mask[start * each : stop * each] if mask.ndim else mask):
        if found.shape == tuple(shape):
            return found
    return mx.random.bernoulli(keep, shape, key=random.next_key())  # a part that draws otherwise than the first did


def parts_of_batch(samples: int, streams: Sequence[mx.Stream]) -> Callable[[int, int], Any]:
    """For a batch of so many samples: ``with in_part(start, stop):``, the part from 0 first, then the others."""
    batch = _Parts(samples, streams)

    @contextmanager
    def in_part(start: int, stop: int) -> Iterator[None]:
        before, _this_thread.part = _this_thread.part, (start, stop, iter(batch.masks), batch)
        try:
            yield
        finally:
            _this_thread.part = before

    return in_part
