"""The callback that saves models during a training, every one or only the best."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..backend.distributed import rank
from ..saving.description import describe
from .callbacks import Logs
from .monitors import Monitor


class ModelCheckpoint(Monitor):
    """Save the model after every epoch, or only when it is the best so far.

    To go on training after a crash, ``fit(..., checkpoint="run/", resume=True)`` keeps more than the model.

    Args:
        filepath: of the file; may contain {epoch} (from 1) and names of logs: "best-{epoch:02d}-{val_loss:.2f}.model".
        monitor, mode, verbose: see :class:`Monitor`; used with save_best_only.
        save_best_only: whether to save only models that beat all before.
        save_weights_only: whether to use ``save_weights`` instead of ``save``.
        save_freq: "epoch", or a number of batches (then it does not look at ``monitor``).
        initial_value_threshold: with save_best_only, the number to beat first.

    >>> ModelCheckpoint("best.safetensors", save_best_only=True).monitor
    'val_loss'
    """

    keeps = ("best", "batches")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0, verbose)
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1 or save_best_only):
            raise ValueError(
                f"ModelCheckpoint: expected save_freq='epoch' or, without save_best_only, a number of batches, "
                f"got {save_freq!r}"
            )
        self.filepath, self.save_best_only, self.save_weights_only = str(filepath), save_best_only, save_weights_only
        self.save_freq, self.epoch, self.batches = save_freq, 0, 0
        if initial_value_threshold is not None:
            self.best = initial_value_threshold
        self._ask_for_batches()

    def _ask_for_batches(self) -> None:
        """Have the hook for batches only if they are counted, because fit waits for every batch if it is there."""
        if self.save_freq != "epoch":
            vars(self)["on_batch_end"] = self._count_batch

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy counts its own batches."""
        vars(self).update(state)
        self._ask_for_batches()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.save_best_only:
            super().on_train_begin(logs)
        batch = {} if self.save_freq == "epoch" else {"batch": 1.0}
        self._path({name: 0.0 for name in self.params["metrics"] if not batch or name[:4] != "val_"} | batch)
        if not self.save_weights_only:
            describe(self.model)  # raises for a model that cannot be saved, before it is trained

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        if self.save_freq != "epoch":
            return
        if self.save_best_only:
            if not self.better(logs[self.monitor], self.best):
                return
            self.best = logs[self.monitor]
        self._save(logs)

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self.batches += 1
        if self.batches % int(self.save_freq) == 0:
            self._save({"batch": batch + 1, **(logs or {})})

    def _path(self, logs: Logs) -> Path:
        try:
            return Path(self.filepath.format(**{**logs, "epoch": self.epoch + 1}))
        except KeyError as error:
            names = ", ".join(("epoch", *logs))
            raise ValueError(f"ModelCheckpoint: {self.filepath!r} names {error}; known: {names}") from None

    def _save(self, logs: Logs) -> None:
        path = self._path(logs)
        if rank() == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        self.say(f"saved {path}")
