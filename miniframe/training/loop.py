"""The two loops of a training, over epochs and over batches, around one step."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import numpy as np

from ..backend.distributed import team
from ..core.arrays import number
from ..core.untouched import modes_restored
from ..data.arrays import ArrayData
from ..data.batch import Batch
from ..data.streams import StreamData
from ..layers.tap import Tap
from .callbacks import Callback, CallbackList
from .checkpoints import Checkpoints, Snapshot
from .evaluation import scores
from .fingerprint import users
from .finite import NonFiniteError, Watch, from_mlx
from .history import History, joined, mean_or_sum
from .interrupts import interrupt_requests
from .metrics import Metric, measure, totals
from .progress import Progress
from .settings import Settings
from .step import Step

LOOK_EVERY = 0.1  # seconds between looks at the losses: what a user can see, and often enough to stop a NaN
LOOK_BYTES = 16 * 2**20  # of batches to remember between looks
LOOK_TOGETHER = 16  # batches between looks where several ranks have to look at the same time

Data = ArrayData | StreamData


class Training:
    """A training that is ready to run: everything was checked before.

    Args:
        step: the training step, with its model, loss and optimizer.
        data, validation: what to train and to validate on.
        measures: the metrics, by name.
        settings: how many epochs, in which batches, in which order.
        checkpoints: where to save after every epoch, and perhaps what to go on from.
        callbacks: the user's.

    Attributes:
        history: the result, added to epoch by epoch.
        batch: the number of the batch that is trained on; 0 between batches.
    """

    def __init__(
        self,
        step: Step,
        data: Data,
        validation: Data | None,
        measures: dict[str, Metric],
        settings: Settings,
        checkpoints: Checkpoints,
        callbacks: Iterable[Callback],
    ) -> None:
        self.step, self.data, self.validation = step, data, validation
        self.measures, self.settings, self.checkpoints = measures, settings, checkpoints
        self.history, self.batch = History(), 0
        self.shown = settings.verbose if team().rank == 0 else 0
        names = ["loss", *measures]
        names += [f"val_{name}" for name in names] if validation is not None else []
        steps = data.steps(settings.batch_size)
        params = {"epochs": settings.epochs, "steps": steps, "verbose": self.shown, "metrics": names}
        self.hooks = CallbackList(
            callbacks, model=step.model, optimizer=step.optimizer, loss=step.loss, data=data, params=params
        )

    # ---------------------------------------------------------------- all epochs

    def run(self) -> History:
        """Train from the first epoch, or the one after the checkpoint, to the last."""
        model, last = self.step.model, self.settings.epochs
        first = self.begin()
        self.progress = Progress((first, last), self.data.steps(self.settings.batch_size), self.shown)
        self.watch = Watch(self.step)
        self.step.before_change = self.watch.settle
        self.step.look_always = self.may_change_within_epochs()
        logs: dict[str, float] = {}
        epoch = first
        try:
            with modes_restored(model), interrupt_requests() as self.interrupted:
                model.train()
                for epoch in range(first, last):
                    logs = self.epoch(epoch)
                    if self.history.interrupted or team().any(model.stop_training):
                        break
                self.watch.look_at_weights()
        except NonFiniteError:
            raise
        except BaseException as error:
            self.watch.recover(error)
            place = f"epoch {epoch + 1}" + (f", batch {self.batch}" if self.batch and not from_mlx(error) else "")
            add_words(error, f"fit stopped in {place}, and the model keeps what its last good step left")
            raise
        finally:
            self.step.rest()
            self.progress.close()
            self.hooks.call("on_train_end", logs)
        if self.history.interrupted and team().rank == 0:
            print(f"fit: interrupted in epoch {epoch + 1} of {last}; the model keeps what it has learned")
        return self.history

    def begin(self) -> int:
        """Tell the callbacks, restore a checkpoint; returns the first epoch to train."""
        model, snapshot = self.step.model, self.checkpoints.snapshot
        model.stop_training = False
        self.hooks.call("on_train_begin", {})
        if snapshot is None:
            return self.settings.initial_epoch
        snapshot.restore(model, self.step.optimizer, self.hooks.callbacks, self.history)
        if self.shown:
            print(f"fit: going on after epoch {snapshot.epoch + 1}, from {self.checkpoints.folder}")
        return self.settings.epochs if snapshot.stopped else snapshot.epoch + 1

    def may_change_within_epochs(self) -> bool:
        """Whether a user's code runs between the steps of an epoch, where it may change any setting."""
        return (
            self.hooks.wants("on_batch_begin")
            or self.hooks.wants("on_batch_end")
            or (isinstance(self.data, StreamData) and not isinstance(self.data.source, (list, tuple)))
            or any(users(metric) for metric in self.measures.values())
            or any(isinstance(module, Tap) for module in self.step.model.modules())
        )

    # ---------------------------------------------------------------- one epoch

    def epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the data, validation, and what belongs after them; returns the epoch's numbers."""
        self.hooks.call("on_epoch_begin", epoch, {})
        rng = np.random.default_rng([self.settings.seed, epoch]) if self.settings.shuffle else None
        self.step.look_first |= bool(self.hooks.callbacks) or self.validation is not None
        with closing(self.data.epoch(self.settings.batch_size, rng)) as batches, self.step.threads():
            logs = self.batches(epoch, batches)
        if team().any(self.interrupted()):
            self.history.interrupted = True
            return logs
        if self.validation is not None:
            model, where = self.step.model, "fit: validation_data"
            found = scores(model, self.validation, self.step.loss, self.measures, ranks=team(), where=where)
            logs.update({f"val_{name}": value for name, value in found.items()})
        self.history.add(epoch, logs)
        self.progress.epoch_end(epoch, logs)
        self.hooks.call("on_epoch_end", epoch, logs)
        self.save()
        return logs

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it, and if the weights are worth keeping."""
        if self.checkpoints.folder is not None:
            self.watch.look_at_weights()
            callbacks, seed = self.hooks.callbacks, self.settings.seed
            self.checkpoints.save(Snapshot.take(self.step.model, self.step.optimizer, callbacks, self.history, seed))

    def batches(self, epoch: int, batches: Iterable[Batch]) -> dict[str, float]:
        """A step for every batch; returns the means over the samples (of a summed loss, the sum).

        Small models take 0.1 ms for a step, so what happens for every batch is kept to what somebody asked for.
        """
        loss, means = mean_or_sum(self.step.loss.reduction), totals(self.measures)
        model, ranks = self.step.model, team()
        begins, ends = self.hooks.wants("on_batch_begin"), self.hooks.wants("on_batch_end")
        last_look, shown, done = time.perf_counter(), 0, 0
        for done, batch in enumerate(batches, start=1):
            self.batch = done
            if begins:
                self.hooks.call("on_batch_begin", done - 1, {})
            value, prediction = self.step(*batch)
            loss.add(value, self.step.loss.weight_of(batch[1]))
            self.watch.note(epoch, done - 1, batch, value)
            if self.measures or ends:
                measured, count = self.measure(prediction, batch)
                for name, score in measured.items():
                    means[name].add(score, count)
                if ends:
                    self.batch_end(done - 1, value, measured, count)
            self.batch = 0
            due = self.is_due(last_look, done)
            if due:
                self.watch.look()
                self.progress.update(epoch, done - shown, loss.value())
                last_look, shown = time.perf_counter(), done
            if ranks.any(self.interrupted() or model.stop_training, ask=due):
                break
        self.watch.look()
        self.progress.update(epoch, done - shown)
        return {"loss": loss.value(), **joined(means, ranks)}

    # ---------------------------------------------------------------- one batch

    def batch_end(self, index: int, loss: Any, measured: dict[str, Any], count: int) -> None:
        """Wait for the batch and call ``on_batch_end`` with its numbers."""
        self.watch.look()
        scores_now = joined(totals(self.measures, measured, count), team())
        self.hooks.call("on_batch_end", index, {"loss": number(loss), **scores_now})

    def measure(self, prediction: Any, batch: Batch) -> tuple[dict[str, Any], int]:
        """The metrics over this rank's rows of a batch, and how many rows they are."""
        (target,), count = team().part(batch[1:2])
        return {name: measure(name, metric, prediction, target) for name, metric in self.measures.items()}, count

    def is_due(self, last_look: float, done: int) -> bool:
        """Whether it is time to look at the losses and to show something."""
        if team().size == 1:
            return time.perf_counter() - last_look > LOOK_EVERY or self.watch.nbytes > LOOK_BYTES
        return done % LOOK_TOGETHER == 0


def add_words(error: BaseException, words: str) -> None:
    """Say something behind an error's own message."""
    if len(error.args) == 1 and isinstance(error.args[0], str) and words not in error.args[0]:
        error.args = (f"{error.args[0].rstrip('.')}; {words}",)
    elif isinstance(error, Exception) and hasattr(error, "add_note") and words not in str(error):  # Python 3.11 on
        error.add_note(words)
