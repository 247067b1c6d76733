"""What fit returns: one number for each epoch and quantity, under Keras' names; and the means it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partialmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend.distributed import Team
from ..core.arrays import number
from ..core.elsewhere import OF_HISTORIES, asked_for
from ..core.teach import teach

if TYPE_CHECKING:
    from ..plots import training as _plots

WAITING = 1000  # batches whose numbers are read later at most, so that an endless stream needs no endless memory


class History:
    """The record of a training.

    Attributes:
        history: lists with one float per epoch: loss, val_loss, accuracy, val_accuracy, ....
        epoch: the numbers of the epochs, from 0.
        interrupted: True if Ctrl-C ended the training.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.interrupted = False

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Append the numbers of one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[float]:
        """``history["loss"]`` is ``history.history["loss"]``."""
        return self.history[name]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs{': ' + last if last else ''})"

    if TYPE_CHECKING:  # taught by the file that draws
        _repr_html_ = _plots.as_html


teach(History, __getattr__=partialmethod(asked_for, OF_HISTORIES))


class Mean:
    """A mean over samples, from the means of batches of any sizes. Numbers are read only when they are asked for."""

    def __init__(self, *first: Any) -> None:
        self._total, self._samples = 0.0, 0.0
        self._waiting: list[tuple[Any, float]] = [first] if first else []

    def add(self, mean: Any, samples: Any) -> None:
        """Note the mean of ``samples`` samples."""
        self._waiting.append((mean, samples))
        if len(self._waiting) >= WAITING:
            self.sums()

    def sums(self) -> list[float]:
        """(the total over the samples so far, how many they were)."""
        for mean, weight in self._waiting:
            samples = number(weight)
            self._total += number(mean) * samples
            self._samples += samples
        self._waiting.clear()
        return [self._total, self._samples]

    def value(self) -> float:
        """The mean so far; NaN before the first."""
        return self.value_of(self.sums())

    def value_of(self, sums: list[float]) -> float:
        """The mean, from the sums of all ranks."""
        total, samples = sums
        return total / samples if samples else float("nan")


class Sum(Mean):
    """A sum over samples, from the sums of batches, wherever a Mean is expected."""

    def add(self, mean: Any, samples: Any) -> None:
        super().add(mean, 1)  # the sum over the batch already

    def value_of(self, sums: list[float]) -> float:
        """The sum, from the sums of all ranks; NaN before the first."""
        total, batches = sums
        return total if batches else float("nan")


def mean_or_sum(reduction: str) -> Mean:
    """What gathers a loss with this reduction, so that no number depends on how samples came in batches."""
    return Sum() if reduction == "sum" else Mean()


class Sums:
    """Sums over the batches of what a Tally needs to know, read only when they are asked for.

    Args:
        tally: with ``terms`` and ``result``.
    """

    def __init__(self, tally: Any) -> None:
        self.tally = tally
        self._total: np.ndarray | None = None
        self._waiting: list[Any] = []

    def add(self, parts: Any, samples: float) -> None:
        """Note the parts of a batch; those of no samples, on a rank without rows, count nothing."""
        if samples:
            self._waiting.append(parts)
        elif self._total is None:
            self._total = self.tally.terms(np.array(parts, dtype=np.float64)) * 0
        if len(self._waiting) >= WAITING:
            self.sums()

    def sums(self) -> list[float]:
        """The sums so far, in a row."""
        for parts in self._waiting:
            terms = self.tally.terms(np.array(parts, dtype=np.float64))
            self._total = terms if self._total is None else self._total + terms
        self._waiting.clear()
        return [] if self._total is None else self._total.ravel().tolist()

    def value(self) -> float:
        """The metric so far; NaN before the first batch."""
        return self.value_of(self.sums())

    def value_of(self, sums: list[float]) -> float:
        """The metric, from the sums of all ranks."""
        if self._total is None:
            return float("nan")
        return float(self.tally.result(np.array(sums, dtype=np.float64).reshape(self._total.shape)))


def joined(means: Mapping[str, Mean | Sums], ranks: Team) -> dict[str, float]:
    """The values of means, and of other sums, that every rank has made over its own samples."""
    own = {name: mean.sums() for name, mean in means.items()}
    everyones = iter(ranks.total([part for sums in own.values() for part in sums]))
    return {name: mean.value_of([next(everyones) for _ in own[name]]) for name, mean in means.items()}
