"""Curves that grow while fit runs: a picture in a notebook, a small plot of characters in a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..backend.distributed import rank
from ..training.callbacks import Callback, Logs
from ..training.progress import in_notebook, watched
from .training import curves, falls_far

WIDTH, HEIGHT = 60, 9  # characters
MARKS = {"": "●", "val_": "○"}


def text_curve(history: dict[str, list[float]], quantity: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """One quantity over the epochs, drawn with characters: ● training, ○ validation; heights logarithmic like those of
    ``plots.curves``, where the numbers fall by more than ten times.

    >>> print(text_curve({"loss": [3.0, 2.0, 1.0]}, "loss", width=5, height=3))
            3 ┤●
              │  ●
            1 ┤    ●
              └─────
    loss 1 (epoch 3)
    """
    rows = {prefix: history[prefix + quantity] for prefix in MARKS if prefix + quantity in history}
    finite = [value for values in rows.values() for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    logarithmic = falls_far(finite)
    bottom, top = (math.log(low), math.log(high)) if logarithmic else (low, high)
    epochs = max(map(len, rows.values()))
    cells = [[" "] * width for _ in range(height)]
    for prefix, values in reversed(rows.items()):  # training last, so that it is seen where both meet
        for epoch in np.unique(np.linspace(0, len(values) - 1, width).round().astype(int)):
            if math.isfinite(values[epoch]):
                value = math.log(values[epoch]) if logarithmic else values[epoch]
                share = (value - bottom) / (top - bottom) if top > bottom else 0.5
                column = round(int(epoch) * (width - 1) / max(epochs - 1, 1))
                cells[round((1 - share) * (height - 1))][column] = MARKS[prefix]
    marks = {0: f"{high:.3g}", height - 1: f"{low:.3g}"} if finite else {}
    lines = [
        f"{marks.get(number, ''):>9} {'┤' if number in marks else '│'}{''.join(row)}".rstrip()
        for number, row in enumerate(cells)
    ]
    latest = ", ".join(f"{prefix}{quantity} {values[-1]:.4g}" for prefix, values in rows.items())
    return "\n".join([*lines, " " * 10 + "└" + "─" * width, f"{latest} (epoch {epochs})"])


class LiveCurve(Callback):
    """Show how loss and metrics go on while a model is trained.

    In a notebook the curves of :func:`miniframe.plots.curves` (needs matplotlib), renewed below the cell; in a terminal
    a plot of characters above the progress bar; where the output goes to a file, one such plot at the end.

    Args:
        quantities: their names, such as "loss" or ["loss", "accuracy"]; left out, all in a notebook, in a terminal the
            loss.
        every: seconds that pass at least between two pictures.

    >>> import contextlib, io, miniframe as mf, mlx.core as mx
    >>> x, page = mx.zeros((4, 1)), io.StringIO()
    >>> model, curve = mf.Linear(1, 1, bias=False), LiveCurve()
    >>> with contextlib.redirect_stdout(page):
    ...     history = model.fit(x, x, loss="mse", optimizer="sgd", epochs=3, verbose=0, callbacks=[curve])
    >>> page.getvalue().splitlines()[-1], curve.history == history.history
    ('loss 0 (epoch 3)', True)
    """

    keeps = ("history",)  # a training that is resumed shows the whole curve

    def __init__(self, quantities: str | Sequence[str] | None = None, every: float = 0.5) -> None:
        if not every >= 0:
            raise ValueError(f"LiveCurve: expected seconds of at least 0 as every, got {every!r}")
        self.quantities = [quantities] if isinstance(quantities, str) else quantities and list(quantities)
        self.every = every
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.history = {}
        self._shown, self._last, self._drawn, self._handle = 0, -math.inf, False, None
        measured = [name for name in self.params["metrics"] if not name.startswith("val_")]
        for name in self.quantities or []:
            if name not in measured:
                raise ValueError(f"LiveCurve: no {name!r} is measured in this training; there is {', '.join(measured)}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self._drawn = epoch + 1 == self.params["epochs"] or time.monotonic() - self._last >= self.every
        if self._drawn:
            self._show(ended=False)
            self._last = time.monotonic()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if not self._drawn or not watched(sys.stdout):
            self._shown = 0  # what was drawn last stands above the finished bar; this comes below
            self._show(ended=True)

    def _show(self, ended: bool) -> None:
        if not self.history or rank() > 0:
            return
        if in_notebook():
            self._handle = shown_in_notebook(curves(self.history, self.quantities), self._handle)
        elif ended or watched(sys.stdout):
            self._write("\n".join(text_curve(self.history, name) for name in self.quantities or ["loss"]))

    def _write(self, text: str) -> None:
        """Print it over the picture before, if there is one, and above the bar of the training."""
        up = f"\x1b[{self._shown}A\x1b[J" if self._shown and sys.stdout.isatty() else ""
        tqdm.write(up + text)
        self._shown = text.count("\n") + 1


def shown_in_notebook(figure: Any, handle: Any = None) -> Any:
    """Show a picture below the cell, in the place of the one that the handle stands for."""
    from IPython.display import display

    if handle is None:
        return display(figure, display_id=True)
    handle.update(figure)
    return handle
