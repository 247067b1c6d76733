"""More than one process: the same script, started on every machine by mlx.launch, trains one model.

Each process, called a rank, computes its share of the rows of every batch. Between backward and the optimizer's step
the gradients are averaged with one message, a flat buffer that also carries the loss and the running statistics. All
ranks then make the same step, so their weights stay equal. The messages are MLX's own (``mx.distributed``).

What fit does on several ranks:

- It starts from the weights, the optimizer's state and the seed of rank 0, so the script need not fix a seed.
- ``batch_size`` is that of the whole batch. History, metrics and what callbacks see are those of the whole data.
- Callbacks run on every rank; one that writes asks ``rank() == 0`` first.
- BatchNorm normalizes with the mean and variance of its own rank's rows, so its output differs a little from that of
  one process; its running statistics are averaged over the ranks after every step and so stay equal everywhere (the
  running variance is the mean of the variances within the ranks' rows).
- Dropout draws different masks on every rank.
- A stream of batches must give every rank the same batches.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

import mlx.core as mx
import numpy as np


class Cell(Protocol):
    """Anything with a value: a Buffer, a Parameter."""

    value: mx.array


class Learned(Protocol):
    """Anything with a gradient: a Parameter."""

    grad: mx.array | None


F = TypeVar("F", bound=Callable[..., Any])

LAUNCHED = ("MLX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")  # what mlx.launch and mpirun tell their processes
TIMEOUT = "MINIFRAME_TIMEOUT"  # the environment variable: seconds without a step before a rank gives up


class DistributedError(RuntimeError):
    """Another rank has died, cannot be reached, or was started with a different training."""


class Team:
    """The ranks that train together, and the few things they tell each other. Every rank must call the same methods.

    Args:
        group: MLX's group of processes, or None for a process by itself.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are; 1 unless started by mlx.launch.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.rank = group.rank() if group else 0
        self.size = group.size() if group else 1
        self.last_sign = time.monotonic()  # of life, for the watchdog

    def part(self, batch: Sequence[Any]) -> tuple[Any, int]:
        """This rank's rows of a batch, and how many they are; shares differ by at most one sample.

        A batch smaller than the team leaves some ranks without rows: they get its first one, and the number 0, so
        that they can take part in what all ranks do.

        Args:
            batch: arrays, or tuples of arrays, with the same number of samples in front.

        >>> team().part((mx.arange(10),))[1]
        10
        """
        first = batch[0][0] if isinstance(batch[0], tuple) else batch[0]
        if self.size == 1:
            return batch, first.shape[0]
        start, stop = (first.shape[0] * rank // self.size for rank in (self.rank, self.rank + 1))
        rows = slice(start, stop) if stop > start else slice(0, 1)
        return tuple(tuple(a[rows] for a in x) if isinstance(x, tuple) else x[rows] for x in batch), stop - start

    # ---------------------------------------------------------------- arrays

    def sum(self, arrays: Sequence[mx.array]) -> list[mx.array]:
        """The sums over all ranks, sent as one flat buffer. Works inside a compiled step."""
        if self.size == 1:
            return list(arrays)
        flat = mx.concatenate([a.reshape(-1) for a in arrays])
        if self.size == 2:  # as many bytes as a ring sends, in one round instead of two
            first, second = mx.distributed.all_gather(flat[None], group=self.group)
            flat = first + second
        else:
            flat = mx.distributed.all_sum(flat, group=self.group)
        ends = np.cumsum([a.size for a in arrays]).tolist()
        parts = mx.split(flat, ends[:-1])
        return [part.reshape(a.shape).astype(a.dtype) for part, a in zip(parts, arrays)]

    def share(self, cells: Iterable[Cell]) -> None:
        """Give every rank the values that rank 0 has."""
        for cell in cells:
            value = cell.value if self.rank == 0 else mx.zeros_like(cell.value)
            cell.value = self.sum([value])[0]
            mx.eval(cell.value)

    # ---------------------------------------------------------------- numbers, waited for

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sums of a few numbers over all ranks."""
        if self.size == 1:
            return list(numbers)
        self.last_sign = time.monotonic()
        # in two parts, because the GPU's single precision would cut long sums
        high = np.array(numbers, dtype=np.float32)
        low = (np.array(numbers, dtype=np.float64) - high).astype(np.float32)
        gathered = mx.distributed.all_gather(mx.array(np.stack([high, low])[None]), group=self.group)
        sums: list[float] = np.array(gathered, dtype=np.float64).sum(axis=(0, 1)).tolist()
        return sums

    def any(self, flag: bool, ask: bool = True) -> bool:
        """Whether any rank says yes; asked only where all ranks set ``ask``, otherwise no."""
        return flag if self.size == 1 else ask and self.total([float(flag)])[0] > 0

    def first(self, number: int) -> int:
        """The whole number that rank 0 has."""
        return int(self.total([number if self.rank == 0 else 0])[0])

    def must_agree(self, facts: Mapping[str, int | None]) -> None:
        """Raise a DistributedError unless all ranks have the same whole numbers; None counts as -1."""
        if self.size == 1:
            return
        mine = mx.array([-1 if value is None else value for value in facts.values()], dtype=mx.int32)
        everyone = np.array(mx.distributed.all_gather(mine[None], group=self.group))
        for name, values in zip(facts, everyone.T.tolist()):
            for rank, value in enumerate(values):
                if value != values[0]:
                    raise DistributedError(
                        f"fit: expected the same training on every rank, but {name} is {values[0]} on rank 0 and "
                        f"{value} on rank {rank}; run one script on the same data everywhere"
                    )

    # ---------------------------------------------------------------- when one is lost

    @contextmanager
    def together(self) -> Iterator[None]:
        """Stop with a DistributedError when another rank is lost, and for good when it only stays silent."""
        if self.size == 1:
            yield
            return
        self.last_sign = time.monotonic()
        done = threading.Event()
        threading.Thread(target=self._watch, args=(done, timeout()), daemon=True).start()
        try:
            yield
        except RuntimeError as error:
            if not any(word in str(error).lower() for word in ("[ring]", "[nccl]", "[jaccl]", "[mpi]", "peer")):
                raise
            raise DistributedError(
                f"fit: rank {self.rank} of {self.size} has lost another rank, which died or cannot be reached, so this "
                f"one stops too ({error})"
            ) from error
        finally:
            done.set()

    def _watch(self, done: threading.Event, limit: float) -> None:
        """On a thread: end the process when a message has been waited for too long; nothing else can interrupt it."""
        while not done.wait(min(1.0, limit / 4)):
            if time.monotonic() - self.last_sign > limit:
                sys.stderr.write(
                    f"fit: rank {self.rank} of {self.size} has waited {limit:g} seconds for the other ranks, which "
                    f"have died or cannot be reached, and stops; {TIMEOUT} sets another limit\n"
                )
                sys.stderr.flush()
                os._exit(1)


def timeout() -> float:
    """Seconds that a rank waits for the others: MINIFRAME_TIMEOUT, or 600."""
    try:
        seconds = float(os.environ.get(TIMEOUT, 600))
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ValueError(f"{TIMEOUT}: expected a positive number of seconds, got {os.environ[TIMEOUT]!r}")
    return seconds


def together(function: F) -> F:
    """A function that all ranks call, as it is; losing a rank inside becomes a DistributedError."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with team().together():
            return function(*args, **options)

    return call  # type: ignore[return-value]


@cache
def team() -> Team:
    """The ranks of this training; a team of one unless the script was started by mlx.launch.

    >>> team().rank, team().size
    (0, 1)
    """
    return Team(mx.distributed.init() if launched() else None)


def launched() -> bool:
    """Whether this process was started as one of several; ``mlx.launch -n 1`` gives an empty list of hosts.

    >>> launched()
    False
    """
    hosts = os.environ.get("MLX_HOSTFILE")
    if hosts is not None and not Path(hosts).read_text().strip():
        return False
    return any(name in os.environ for name in LAUNCHED)


def rank() -> int:
    """The number of this process, from 0; ``if rank() == 0:`` is where a script prints and saves."""
    return team().rank


def size() -> int:
    """How many processes train together."""
    return team().size


def average_gradients(parameters: Iterable[Learned]) -> None:
    """In a loop of your own, between backward and step: every gradient becomes the mean over the ranks.

    One message for all of them. Each rank must have computed the same number of samples for this to be the gradient
    of the whole batch; ``fit`` does this by itself, and weights unequal shares.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 1)
    >>> y = layer(mx.ones((1, 2)))
    >>> dx = layer.backward(mx.ones((1, 1)))
    >>> average_gradients(layer.parameters())
    >>> layer.weight.grad.tolist()
    [[1.0, 1.0]]
    """
    found = [p for p in parameters if p.grad is not None]
    for parameter, total in zip(found, team().sum([p.grad for p in found if p.grad is not None])):
        parameter.grad = total / team().size
