"""What fit returns: one number for each epoch and quantity, under Keras' names; and the means it is made from."""

from __future__ import annotations

from typing import Any

from ..backend.distributed import Team
from ..core.arrays import number

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

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({len(self.epoch)} epochs{': ' + last if last else ''})"


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

    def sums(self) -> tuple[float, float]:
        """(the total over the samples so far, how many they were)."""
        for mean, weight in self._waiting:
            samples = number(weight)
            self._total += number(mean) * samples
            self._samples += samples
        self._waiting.clear()
        return self._total, self._samples

    def value(self) -> float:
        """The mean so far; NaN before the first."""
        total, samples = self.sums()
        return total / samples if samples else float("nan")


def joined(means: dict[str, Mean], ranks: Team) -> dict[str, float]:
    """The values of means that every rank has made over its own samples."""
    if ranks.size == 1:
        return {name: mean.value() for name, mean in means.items()}
    sums = ranks.total([part for mean in means.values() for part in mean.sums()])
    return {name: total / samples for name, total, samples in zip(means, sums[::2], sums[1::2])}
