"""The two loops of a training, over epochs and over batches, around one step."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import number
from ..distributed import Team
from .callbacks import CallbackList
from .checkpoints import Checkpoints, Snapshot
from .data import ArrayData, Batch, StreamData, batch_samples
from .evaluation import scores
from .finite import Watch
from .history import History, Mean, joined
from .modes import interrupt_requests, modes_restored
from .progress import Progress
from .step import Step

if TYPE_CHECKING:
    from ..metrics import Metric

LOOK_EVERY = 0.1  # seconds between looks at the losses: what a user can see, and often enough to stop a NaN
LOOK_BYTES = 16 * 2**20  # of batches to remember between looks
LOOK_TOGETHER = 16  # batches between looks where several ranks have to look at the same time


@dataclass
class Loop:
    """A training that is ready to run: everything was checked before.

    Attributes:
        step: the training step, with its model, loss and optimizer.
        data, validation: what to train and to validate on.
        measures: the metrics, by name.
        hooks: the callbacks.
        progress: what is shown.
        ranks: the processes that train together; usually one.
        seed, shuffle, batch_size: how each epoch's batches are drawn.
        checkpoints: where to save after every epoch, or None.
        history: the result, added to epoch by epoch.
    """

    step: Step
    data: ArrayData | StreamData
    validation: ArrayData | StreamData | None
    measures: dict[str, Metric]
    hooks: CallbackList
    progress: Progress
    ranks: Team
    seed: int
    shuffle: bool
    batch_size: int
    checkpoints: Checkpoints | None
    history: History

    def run(self, first: int, last: int) -> History:
        """Train the epochs from ``first`` up to, but not including, ``last``."""
        model: Any = self.step.model
        self.watch = Watch(self.step)
        logs: dict[str, float] = {}
        try:
            with modes_restored(model), interrupt_requests() as self.interrupted:
                model.train()
                for epoch in range(first, last):
                    logs = self.epoch(epoch)
                    if self.history.interrupted or self.ranks.any(model.stop_training):
                        break
                self.watch.look_at_weights()
        finally:
            self.progress.close()
            self.hooks.call("on_train_end", logs)
        if self.history.interrupted and self.ranks.rank == 0:
            print(f"fit: interrupted in epoch {epoch + 1} of {last}; the model keeps what it has learned")
        return self.history

    def epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the data, validation, and what belongs after them; returns the epoch's numbers."""
        self.hooks.call("on_epoch_begin", epoch, {})
        rng = np.random.default_rng([self.seed, epoch]) if self.shuffle else None
        with closing(self.data.epoch(self.batch_size, rng)) as batches, self.step.threads():
            logs = self.batches(epoch, batches)
        if self.ranks.any(self.interrupted()):
            self.history.interrupted = True
            return logs
        if self.validation is not None:
            found = scores(self.step.model, self.validation, self.step.loss, self.measures, ranks=self.ranks)
            logs.update({f"val_{name}": value for name, value in found.items()})
        self.history.add(epoch, logs)
        self.progress.epoch_end(epoch, logs)
        self.hooks.call("on_epoch_end", epoch, logs)
        if self.checkpoints is not None:
            self.watch.look_at_weights()
            step = self.step
            self.checkpoints.save(
                Snapshot.take(step.model, step.optimizer, self.hooks.callbacks, self.history, self.seed)
            )
        return logs

    def batches(self, epoch: int, batches: Iterable[Batch]) -> dict[str, float]:
        """A step for every batch; returns the means over the samples.

        Small models take 0.1 ms for a step, so what happens for every batch is kept to what somebody asked for.
        """
        means = {name: Mean() for name in ("loss", *self.measures)}
        loss = means["loss"]
        model: Any = self.step.model
        summed = self.step.loss.reduction == "sum"
        begins, ends = self.hooks.wants("on_batch_begin"), self.hooks.wants("on_batch_end")
        last_look, shown, done = time.perf_counter(), 0, 0
        for done, batch in enumerate(batches, start=1):
            if begins:
                self.hooks.call("on_batch_begin", done - 1, {})
            value, prediction = self.step(*batch)
            self.step.last_batch = batch
            loss.add(value, 1 if summed else batch_samples(batch))
            self.watch.note(epoch, done - 1, batch, value)
            if self.measures or ends:
                measured, count = self.measure(prediction, batch)
                for name, score in measured.items():
                    means[name].add(score, count)
                if ends:
                    self.tell(done - 1, value, measured, count)
            due = self.is_due(last_look, done)
            if due:
                self.watch.look()
                self.progress.update(epoch, done - shown, loss.value())
                last_look, shown = time.perf_counter(), done
            if self.ranks.any(self.interrupted() or model.stop_training, ask=due):
                break
        self.watch.look()
        self.progress.update(epoch, done - shown)
        return {"loss": means.pop("loss").value(), **joined(means, self.ranks)}

    def tell(self, index: int, loss: Any, measured: dict[str, Any], count: int) -> None:
        """Wait for the batch and call ``on_batch_end`` with its numbers."""
        self.watch.look()
        scores_now = joined({name: Mean(score, count) for name, score in measured.items()}, self.ranks)
        self.hooks.call("on_batch_end", index, {"loss": number(loss), **scores_now})

    def measure(self, prediction: Any, batch: Batch) -> tuple[dict[str, Any], int]:
        """The metrics over this rank's rows of a batch, and how many rows they are."""
        from ..metrics import measure

        (target,), count = self.ranks.part(batch[1:2])
        return {name: measure(name, metric, prediction, target) for name, metric in self.measures.items()}, count

    def is_due(self, last_look: float, done: int) -> bool:
        """Whether it is time to look at the losses and to show something."""
        if self.ranks.size == 1:
            return time.perf_counter() - last_look > LOOK_EVERY or self.watch.nbytes > LOOK_BYTES
        return done % LOOK_TOGETHER == 0
