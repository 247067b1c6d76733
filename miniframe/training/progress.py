"""How fit shows what it does: a tqdm bar where someone watches, a few plain lines where the output goes to a file."""

from __future__ import annotations

import sys
import warnings
from typing import Any, TextIO

from tqdm import TqdmWarning
from tqdm.auto import tqdm

LINES_IN_A_LOG = 20


def in_notebook() -> bool:
    """Whether a notebook shows what is printed."""
    return "ipykernel" in sys.modules


def watched(stream: TextIO) -> bool:
    """Whether someone looks on while things happen: in a notebook, or at a terminal that this stream writes to."""
    return in_notebook() or stream.isatty()


class Progress:
    """One bar for a whole training or, in a log file, at most some twenty lines.

    Args:
        epochs: (first, last) as fit counts them.
        steps: batches in an epoch, or None if unknown.
        verbose: 0 shows nothing, 1 the bar (lines in a log file), 2 a line for every epoch.
    """

    def __init__(self, epochs: tuple[int, int], steps: int | None, verbose: int) -> None:
        self.first, self.last = epochs
        self.steps = steps
        count = max(self.last - self.first, 0)
        self.every = 1 if verbose == 2 else -(-count // LINES_IN_A_LOG) or 1
        self.lines = verbose == 2 or (verbose == 1 and not watched(sys.stderr))
        self.bar: Any = None
        if verbose == 1 and not self.lines and count:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TqdmWarning)  # a notebook without ipywidgets gets the text bar
                total = None if steps is None else steps * count
                self.bar = tqdm(total=total, unit="batch", dynamic_ncols=True, mininterval=0.1)

    def update(self, epoch: int, batches: int, loss: float | None = None) -> None:
        """Some batches of ``epoch`` are done."""
        if self.bar is not None:
            self.bar.set_description_str(f"epoch {epoch + 1}/{self.last}", refresh=False)
            if loss is not None:
                self.bar.set_postfix_str(f"loss={loss:.4g}", refresh=False)
            self.bar.update(batches)

    def epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """An epoch is done, with these numbers."""
        words = ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
        if self.bar is not None:
            self.bar.set_postfix_str(words.replace(" ", "=").replace(",=", ", "), refresh=False)
        elif self.lines and ((epoch + 1 - self.first) % self.every == 0 or epoch + 1 == self.last):
            print(f"epoch {epoch + 1}/{self.last}: {words}", flush=True)

    def close(self) -> None:
        """Leave the screen in order."""
        if self.bar is not None:
            self.bar.close()
