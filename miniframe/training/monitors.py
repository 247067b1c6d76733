"""Callbacks that follow one number, mostly val_loss: stop early, lower the learning rate."""

from __future__ import annotations

import math
import re
from typing import Any

import mlx.core as mx
from tqdm.auto import tqdm

from ..backend.distributed import rank
from .callbacks import Callback, Logs

MODES = ("auto", "min", "max")
LARGER = re.compile(r"(acc|accuracy|(^|_)(precision|recall|f1|r2|top_\d+))$")  # what is better when it is larger


class Monitor(Callback):
    """The base of callbacks that ask after every epoch whether a number has become better.

    Args:
        monitor: the name of the number in the logs.
        mode: "min" if smaller is better, "max" if larger, "auto" to take "max" for accuracies
            and other scores: precision, recall, f1, r2, top_5.
        min_delta: changes of at most this much do not count.
        verbose: 1 prints a line when something happens.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float, verbose: int) -> None:
        if mode not in MODES:
            raise ValueError(f"{type(self).__name__}: expected mode to be one of {', '.join(MODES)}, got {mode!r}")
        self.monitor, self.verbose = monitor, verbose
        self.min_delta = abs(min_delta)
        self.sign = 1.0 if mode == "max" or (mode == "auto" and LARGER.search(monitor)) else -1.0
        self.best = -math.inf * self.sign

    def on_train_begin(self, logs: Logs | None = None) -> None:
        known = self.params["metrics"]
        if self.monitor not in known:
            hint = "; give fit validation data" if self.monitor.startswith("val_") else ""
            raise ValueError(f"{type(self).__name__}: monitor={self.monitor!r} is none of {', '.join(known)}{hint}")

    def better(self, value: float, than: float) -> bool:
        """Whether one number beats another by more than ``min_delta``; NaN never does."""
        return self.sign * (value - than) > self.min_delta or (math.isinf(than) and self.sign * (value - than) > 0)

    def say(self, words: str) -> None:
        """Print a line, above the progress bar, once for all ranks."""
        if self.verbose and rank() == 0:
            tqdm.write(f"{type(self).__name__}: {words}")


class EarlyStopping(Monitor):
    """End a training that no longer gets better, and give the model the best weights it had.

    Args:
        monitor, mode, min_delta, verbose: see :class:`Monitor`.
        patience: epochs without improvement before the training ends.
        baseline: the number to beat: epochs that do not beat it count as no improvement.
        restore_best_weights: whether parameters and buffers go back to those of the best epoch, however the training
            ends: early, at its last epoch, by Ctrl-C or by an error.
        start_from_epoch: epochs to wait before looking.

    Attributes:
        best, best_epoch: the best number and the epoch, from 0, that it belongs to.
        stopped_epoch: the epoch that ended the training early; 0 if none did.

    >>> EarlyStopping(monitor="val_loss", patience=5).best
    inf
    """

    keeps = ("wait", "best", "best_epoch", "stopped_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience, self.baseline = patience, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.best = -math.inf * self.sign
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[mx.array] | None = None

    def _cells(self) -> list[Any]:
        return [*self.model.parameters(), *self.model.buffers()]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = (logs or {})[self.monitor]
        if epoch < self.start_from_epoch:
            return
        improved = self.better(value, self.best)
        if improved or self.best_weights is None:
            self.best_epoch = epoch
            self.best = value if improved else self.best
            self.best_weights = [cell.value for cell in self._cells()] if self.restore_best_weights else []
        if improved and (self.baseline is None or self.better(value, self.baseline)):
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch:
            self.say(f"stopped after epoch {self.stopped_epoch + 1}")
        if self.best_weights:
            self.say(f"best weights from epoch {self.best_epoch + 1}, {self.monitor} {self.best:.4g}")
            for cell, value in zip(self._cells(), self.best_weights):
                cell.value = value


class ReduceLROnPlateau(Monitor):
    """Lower the learning rate when a number stops getting better.

    Args:
        monitor, mode, min_delta, verbose: see :class:`Monitor`.
        factor: what the rate is multiplied with, below 1.
        patience: epochs without improvement before that.
        cooldown: epochs to wait afterwards before counting again.
        min_lr: the rate falls no lower.

    >>> ReduceLROnPlateau(factor=0.5, patience=3).factor
    0.5
    """

    keeps = ("best", "wait", "cooling")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau: expected 0 <= factor < 1, got {factor}")
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self.wait = self.cooling = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        if any(callable(group.lr) for group in self.optimizer.groups):
            raise ValueError("ReduceLROnPlateau: the learning rate follows a schedule; give the optimizer a number")
        self.best, self.wait, self.cooling = -math.inf * self.sign, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = (logs or {})[self.monitor]
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        for group in self.optimizer.groups:
            lr: Any = group.lr
            if lr > self.min_lr:
                group.lr = max(lr * self.factor, self.min_lr)
                self.say(f"learning rate {group.lr:.4g} after epoch {epoch + 1}")
                self.cooling, self.wait = self.cooldown, 0
