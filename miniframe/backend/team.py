"""The ranks that train together: what each computes, what they tell each other, and how all stop when one does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

from .lifeline import Lifeline, Place
from .meeting import TICK, DistributedError


class Cell(Protocol):
    """Anything with a value: a Buffer, a Parameter."""

    value: mx.array


GRACE = 3.0  # seconds to end in by itself, for a rank that hears that another one has stopped
FROM_MLX = ("[ring]", "[nccl]", "[jaccl]", "[mpi]")  # in MLX's errors about other ranks


class Team:
    """The ranks that train together, and the few things they tell each other. Every rank must call the same methods.

    Args:
        group: MLX's group of processes, or None for a process by itself.
        line: what tells this rank about the others.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are; 1 unless started by mlx.launch.
    """

    def __init__(self, group: Any, line: Lifeline | None = None) -> None:
        self.group, self.line = group, line
        self.rank = group.rank() if group else 0
        self.size = group.size() if group else 1
        self.inside = ""  # the name of what all ranks do together now
        self.shapes: list[str] = []  # of the last gradients that average_gradients has seen
        self.since: float | None = None  # when this rank heard that it cannot go on
        if line is not None:
            line.watchman = self._watch

    def part(self, batch: Sequence[Any]) -> tuple[Any, int]:
        """This rank's rows of a batch, and how many they are; shares differ by at most one sample.

        A batch smaller than the team leaves some ranks without rows: they get its first one, and the number 0, so
        that they can take part in what all ranks do.

        Args:
            batch: arrays, or tuples of arrays, with the same number of samples in front.

        >>> Team(None).part((mx.arange(10),))[1]
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

    # ---------------------------------------------------------------- numbers and words, waited for

    def advance(self, doing: str, samples: int = 0) -> None:
        """Note the next thing that all ranks do together; those that do different things will be told."""
        if self.line is not None:
            here = self.line.place
            words = f"{self.inside}, {doing}" if self.inside else doing
            self.line.place = Place(here.section, here.step + 1, words, here.samples + samples)

    def gather(self, doing: str, value: Any) -> list[Any]:
        """Every rank's value: numbers, words, lists and dicts of them."""
        if self.line is None:
            return [value]
        self.advance(doing)
        try:
            return self.line.gather(value)
        except DistributedError as error:
            raise self._stopped(error) from None

    def _stopped(self, why: Any) -> DistributedError:
        where = f"{self.inside}: " if self.inside else ""
        return DistributedError(f"{where}rank {self.rank} of {self.size} stops, because {why}")

    def total(self, numbers: Sequence[float]) -> list[float]:
        """The sums of a few numbers over all ranks."""
        if self.size == 1:
            return list(numbers)
        everyones = self.gather("adding up numbers", [float(number) for number in numbers])
        return [sum(column) for column in zip(*everyones)]

    def any(self, flag: bool, ask: bool = True) -> bool:
        """Whether any rank says yes; asked only where all ranks set ``ask``, otherwise no."""
        return flag if self.size == 1 else ask and self.total([float(flag)])[0] > 0

    def first(self, number: int) -> int:
        """The whole number that rank 0 has."""
        return int(self.gather("agreeing on a number", int(number))[0])

    def must_agree(self, facts: Mapping[str, Any]) -> None:
        """Raise a DistributedError unless all ranks have the same facts, numbers or words."""
        first, *others = self.gather("comparing settings", {name: str(value) for name, value in facts.items()})
        for rank, other in enumerate(others, start=1):
            for name in {**first, **other}:
                values = [known.get(name, "missing") for known in (first, other)]
                if values[0] != values[1]:
                    where = f"{self.inside}: " if self.inside else ""
                    raise DistributedError(
                        f"{where}expected the same training on every rank, but {name} is {values[0]} on rank 0 and "
                        f"{values[1]} on rank {rank}; run one script on the same data everywhere"
                    )

    def same_shapes(self, arrays: Sequence[mx.array]) -> None:
        """Compare arrays that are to be added up, if they are not like the last ones."""
        shapes = [kind(array) for array in arrays]
        if shapes != self.shapes:
            self.must_agree({f"gradient {place}": shape for place, shape in enumerate(shapes, start=1)})
            self.shapes = shapes
        self.advance("adding up gradients")

    # ---------------------------------------------------------------- when one is lost

    @contextmanager
    def together(self, name: str) -> Iterator[None]:
        """What all ranks do: when one of them fails, ends or falls silent, the others stop with what it said."""
        if self.line is None or self.inside:
            yield
            return
        self.line.place = Place(self.line.place.section + 1, 0, name)
        self.inside, words = name, ""
        try:
            yield
        except BaseException as error:
            lost = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in FROM_MLX)
            if lost and not isinstance(error, DistributedError):
                words = "it has lost the connection to another rank"
                raise self._stopped(self._heard() or f"{words} ({error})") from error
            words = described(error)
            raise
        finally:
            self.line.leave("" if self.line.problem() else words)
            self.inside = ""

    def _heard(self) -> str | None:
        """Why a connection of MLX has broken; the word of the rank that stopped may come a moment later."""
        assert self.line is not None
        end = time.monotonic() + 1
        while self.line.problem() is None and time.monotonic() < end:
            time.sleep(TICK / 10)
        return self.line.problem()

    def _watch(self) -> None:
        """At every tick, on the line's thread: end a process that waits for a rank in MLX, which nothing else can."""
        assert self.line is not None
        problem = self.line.problem() if self.inside else None
        if problem is None:
            self.since = None
        elif self.since is None:
            self.since = time.monotonic()
        elif time.monotonic() - self.since > GRACE:
            sys.stderr.write(f"{self._stopped(problem)}\n")
            sys.stderr.flush()
            os._exit(1)


def kind(array: mx.array) -> str:
    """Type and shape, as errors name them.

    >>> kind(mx.zeros((2, 3)))
    'float32 (2, 3)'
    """
    return f"{str(array.dtype).removeprefix('mlx.core.')} {array.shape}"


def described(error: BaseException) -> str:
    """An error in one line.

    >>> described(ValueError("expected 3,\\n  got 4")), described(SystemExit(2))
    ('ValueError: expected 3, got 4', 'sys.exit(2)')
    """
    if isinstance(error, SystemExit):
        return f"sys.exit({'' if error.code is None else repr(error.code)})"
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
