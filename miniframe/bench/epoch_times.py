"""How long the epochs of a training take, seen by a callback."""

from __future__ import annotations

import time

from ..training.callbacks import Callback, Logs


class EpochTimes(Callback):
    """Notes when each epoch ended; ``median_ms`` leaves out the first, which includes the compilation."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.ends.append(time.perf_counter())

    def median_ms(self) -> float:
        """Milliseconds per epoch."""
        lengths = sorted(after - before for before, after in zip(self.ends, self.ends[1:]))
        return 1000 * lengths[len(lengths) // 2] if lengths else float("nan")
