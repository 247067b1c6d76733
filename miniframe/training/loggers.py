"""Callbacks that write down what happens, or call functions of yours."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..backend.distributed import rank
from .callbacks import HOOKS, Callback, Logs


class CSVLogger(Callback):
    """Write a line with the numbers of every epoch to a CSV file; on several ranks, only the first one does.

    When a training is resumed from a checkpoint, lines of epochs after it are removed, so that no epoch comes twice.

    Args:
        filename: of the file.
        separator: between the columns.
        append: whether to keep what a file already holds.

    >>> import tempfile, miniframe as mf, mlx.core as mx
    >>> path = tempfile.mkdtemp() + "/log.csv"
    >>> x = mx.zeros((4, 1))
    >>> history = mf.Linear(1, 1, bias=False).fit(
    ...     x, x, loss="mse", optimizer="sgd", epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    >>> open(path).read().split()
    ['epoch,loss', '0,0.0', '1,0.0']
    """

    keeps = ("position",)

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        if len(separator) != 1:
            raise ValueError(f"CSVLogger: expected one character as separator, got {separator!r}")
        self.path, self.separator, self.append = Path(filename), separator, append
        self.position: int | None = None  # where the file ended after the last epoch of this training

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"CSVLogger: there is no folder {self.path.parent} for {self.path.name}")
        self.position = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if rank() > 0:
            return
        row = {"epoch": epoch, **(logs or {})}
        started = self.position is not None or self.append
        with open(self.path, "a" if started else "w", newline="") as file:
            if self.position is not None and file.tell() > self.position:
                file.truncate(self.position)
            writer = csv.DictWriter(file, list(row), delimiter=self.separator, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            self.position = file.tell()


class LambdaCallback(Callback):
    """A callback from functions.

    Args:
        hooks: functions by the names of the hooks: ``on_epoch_end=lambda epoch, logs: ...``.

    Raises:
        ValueError: for a name that is none of the hooks.

    >>> import miniframe as mf, mlx.core as mx
    >>> x = mx.zeros((4, 1))
    >>> history = mf.Linear(1, 1, bias=False).fit(x, x, loss="mse", optimizer="sgd", epochs=2, verbose=0,
    ...     callbacks=[LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))])
    0 0.0
    1 0.0
    """

    keeps = ()

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise ValueError(f"LambdaCallback: {name} is never called; the hooks are {', '.join(HOOKS)}")
            if function is not None:
                vars(self)[name] = function
