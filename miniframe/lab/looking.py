"""The callbacks through which a session looks at a training: between epochs, or after every batch."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from ..core import random
from ..core.arrays import number
from ..insight.findings import Finding, diagnose
from ..insight.readings import Reading, read
from ..training.callbacks import Callback, Logs

if TYPE_CHECKING:
    from .session import Session

LOOK = 1.0  # seconds between readings for the recorder's words
LONG = 0.1  # seconds: an epoch that takes longer is looked at between its batches


class EachEpoch(Callback):
    """Between the epochs of ``fit``, lets the session breathe."""

    def __init__(self, session: Session, keep: Any) -> None:
        self.session, self.keep = session, keep

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.keep is not None:
            random.set_state(self.keep)
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        session = self.session
        if session.discard:
            return
        session.epoch_time = time.perf_counter() - self.started
        session.epoch, session.batch = epoch + 1, 0
        for name, value in (logs or {}).items():
            session.curve.setdefault(name, []).append(float(value))
        if session.want in ("epoch", "batch"):
            session.want = None
        session.breathe()
        if not session.leave and self.another_way():
            session.random, session.leave = random.get_state(), True
        self.model.stop_training = session.leave
        self.started = time.perf_counter()

    def another_way(self) -> bool:
        """Whether the next epoch shall be looked at in the other way."""
        session = self.session
        return session.want == "batch" or session.epoch_time > LONG


class EachBatch(EachEpoch):
    """After every batch, too."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.before = [(name, p.value) for name, p in self.model.named_parameters() if p.value.ndim > 1]

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        session = self.session
        if session.discard:
            return
        session.batch, session.batch_loss = batch + 1, (logs or {}).get("loss")
        if batch == 0:
            session.doctor.updates = self.changes()
        if session.want == "batch":
            session.want = None
        if batch + 1 < self.params["steps"]:
            session.breathe()
        self.model.stop_training = session.discard or (session.leave and session.at_once)

    def changes(self) -> dict[str, float]:
        """‖change‖ / ‖weight‖ by the first step of the epoch."""
        now = dict(self.model.named_parameters())
        return {
            name: number(mx.linalg.norm((now[name].value - old).flatten()) / mx.linalg.norm(old.flatten()))
            for name, old in self.before
            if name in now
        }

    def another_way(self) -> bool:
        return self.session.want != "batch" and self.session.epoch_time <= LONG


class Doctor:
    """What the flight recorder would say of the model: a reading now and then, and a diagnosis that holds twice.

    Attributes:
        updates: how much the first step of an epoch changed each weight, where that was measured.
        finding: what is wrong by now, or None.
    """

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.updates: dict[str, float] = {}
        self.suspicion: Finding | None = None
        self.finding: Finding | None = None
        self.next = 0.0

    def look(self, session: Session) -> None:
        """Take a reading, if it is time for one."""
        now = time.perf_counter()
        if now < self.next or not session.epoch + session.batch:
            return
        reading = read(session.model, session.loss, (session.data.x[:128], session.data.y[:128]))
        reading.epoch, reading.updates = session.epoch, self.updates
        self.updates = {}
        if not math.isfinite(reading.loss):
            return
        self.readings = [*self.readings[:1], *self.readings[1:][-8:], reading]
        found, before = diagnose(self.readings), self.suspicion
        self.suspicion = found
        self.finding = found if found is not None and before is not None and found.kind == before.kind else None
        self.next = now + max(LOOK, 20 * (time.perf_counter() - now))

    def words(self) -> dict[str, str] | None:
        """The finding, for the page."""
        return None if self.finding is None else {"layer": self.finding.layer, "words": self.finding.words}
