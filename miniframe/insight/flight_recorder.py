"""The flight recorder: a callback that looks inside the model during a training and says what goes wrong, in words.

Now and then it runs a few samples through the model, call by call, forward and backward, and notes how large
activations and gradients are; once an epoch it compares the weights before and after one step. A training without it
pays nothing; with it, it looks as often as its share of the time allows.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..backend.distributed import rank
from ..core.arrays import number
from ..core.warn import users_line
from ..data.arrays import ArrayData
from ..data.batch import Batch
from ..training.callbacks import Callback, Logs
from .findings import Finding, diagnose
from .readings import LayerReading, Reading, read

if TYPE_CHECKING:  # for the verb at the end of FlightRecorder
    from ..plots.flight import plot as _plot


class RecorderWarning(UserWarning):
    """Something that the flight recorder has found; the message names the epoch and the layer, and says what to do."""


class FlightRecorder(Callback):
    """Records every layer's activations, gradients and updates during ``fit``, and warns, once, of what goes wrong.

    It knows dead ReLUs, saturated Tanh and Sigmoid, vanishing and exploding gradients, and a learning rate that is
    too high or too low. A finding has to hold in two readings in a row. There is always a reading before the first
    epoch and one after the last.

    Args:
        every: epochs between readings; by default as often as ``share`` allows, at most after every epoch.
        share: of the time of the training that readings may take; 0.04 by default.
        samples: how many samples it looks at, always the same ones, drawn from the training data; 128 by default.

    Attributes:
        readings: what was recorded, a list of :class:`miniframe.insight.readings.Reading`.
        findings: what was found, a list of :class:`miniframe.insight.findings.Finding`; printed, they are sentences.

    >>> import miniframe as mf
    >>> mf.seed(0)
    >>> model = mf.Sequential(mf.Linear(2, 25), mf.ReLU(), mf.Linear(25, 2))
    >>> x, labels = mf.datasets.disk(200, seed=0)
    >>> recorder = FlightRecorder(every=1)
    >>> history = model.fit(x, labels, loss="cross_entropy", optimizer=mf.SGD(model, lr=0.1), epochs=3,
    ...                     callbacks=[recorder], verbose=0, compile=False)
    >>> [reading.epoch for reading in recorder.readings], list(recorder.readings[-1].layers)
    ([0, 1, 2, 3], ['0', '1', '2'])
    >>> recorder.findings
    []
    """

    def __init__(self, every: int | None = None, share: float = 0.04, samples: int = 128) -> None:
        if (every is not None and every < 1) or not 0 < share <= 1 or samples < 1:
            raise ValueError(
                "FlightRecorder: expected every >= 1 (or None), 0 < share <= 1 and samples >= 1, "
                f"got {every}, {share} and {samples}"
            )
        self.every, self.share, self.samples = every, share, samples
        self.readings: list[Reading] = []
        self.findings: list[Finding] = []

    # ---------------------------------------------------------------- when to look

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.readings, self.findings = [], []
        self._before: list[mx.array] | None = None
        self._updates: dict[str, mx.array] = {}
        self._last: Finding | None = None
        self._batch = self._choose_batch()
        self._spent, self._cost, self._begun = 0.0, 0.0, time.perf_counter()
        self._epoch = 0
        self._due = self._measured = False
        self._look()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        if self.every is None:
            self._due = self._spent + self._cost <= self.share * (time.perf_counter() - self._begun)
        else:
            self._due = (epoch + 1) % self.every == 0
        if self._due or not self._measured:  # the first steps are the most telling
            self._before = [p.value for _, p in self._weights()]

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if batch == 1 and self._before is not None:
            self._compare()
            if not self.readings:
                self._look()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._before is not None:
            self._compare()
        self._epoch = epoch + 1
        if self._due:
            self._look()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._before is not None:
            self._compare()
        if not self.readings or self.readings[-1].epoch != self._epoch or self._updates:
            self._look()

    def state(self) -> dict[str, Any]:
        """For a checkpoint: what was recorded and found so far."""
        return {"readings": [asdict(r) for r in self.readings], "findings": [asdict(f) for f in self.findings]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on after the readings of a checkpoint."""
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self.readings = [Reading(**reading) for reading in state["readings"]]
        for reading in self.readings:
            reading.layers = {name: LayerReading(**layer) for name, layer in vars(reading)["layers"].items()}

    # ---------------------------------------------------------------- looking

    def _choose_batch(self) -> Batch | None:
        if not isinstance(self.data, ArrayData):
            return None  # a stream: the latest batch, once there is one
        rows = np.random.default_rng(0).permutation(len(self.data))[: self.samples]
        return next(self.data.take(np.sort(rows)).epoch(self.samples))

    def _weights(self) -> list[tuple[str, Any]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.trainable and p.value.ndim > 1]

    def _compare(self) -> None:
        """How much the first step of the epoch changed each weight; computed later, with what else is due."""
        before, self._before, self._measured = self._before or [], None, True
        self._updates = {
            name: mx.linalg.norm((p.value - old).reshape(-1)) / mx.maximum(mx.linalg.norm(old.reshape(-1)), 1e-12)
            for (name, p), old in zip(self._weights(), before)
        }
        mx.async_eval(list(self._updates.values()))

    def _look(self) -> None:
        batch = self._batch or (None if isinstance(self.data, ArrayData) else self.data.latest)
        if batch is None:
            return
        started = time.perf_counter()
        reading = read(self.model, self.loss, batch)
        reading.epoch = self._epoch
        updates = {name: number(ratio) for name, ratio in self._updates.items()}
        self._updates = {}
        if any(ratio > 0 for ratio in updates.values()):  # else the optimizer only collected gradients in that step
            reading.updates = updates
        self.readings.append(reading)
        self._judge()
        self._cost = time.perf_counter() - started
        self._spent += self._cost

    def _judge(self) -> None:
        """Keep a diagnosis that holds twice in a row, and say it if it is new."""
        found, before = diagnose(self.readings), self._last
        self._last = found
        known = {finding.kind for finding in self.findings}
        if found is None or found.kind in known or "rate_too_high" in known:  # what follows from that needs no words
            return
        if found.kind.startswith("rate") or (before is not None and before.kind == found.kind):
            self.findings.append(found)
            if rank() == 0:
                warnings.warn(str(found), RecorderWarning, stacklevel=users_line())

    # ---------------------------------------------------------------- what was seen

    def __str__(self) -> str:
        seen = f"flight recorder, {len(self.readings)} readings: "
        return seen + ("; ".join(map(str, self.findings)) or "nothing unusual")

    if TYPE_CHECKING:  # taught by the file that draws it
        plot = _plot
