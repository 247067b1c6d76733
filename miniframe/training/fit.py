"""fit, evaluate and predict: two loops around a training step, with Keras' habits."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..arrays import number
from ..distributed import Team, team, together
from ..guardrails import look_at_fit
from .callbacks import Callback, CallbackList
from .data import ArrayData, StreamData, as_data, batch_samples, check_batch_size, class_weights, draw_seed
from .history import History, Mean, joined
from .progress import Progress

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer

LOOK_TOGETHER = 16  # batches between looks where several ranks have to look at the same time
LOOK_BYTES = 64 * 2**20  # of batches to remember between looks
LOOK_EVERY = 0.1  # seconds between looks at the losses: what a user can see, and often enough to stop a NaN


class Trainable:
    """What every Module can do once it has a forward and a backward: be trained, evaluated and asked."""

    _evaluation: Any = (None, ())  # the loss and the metrics of the last fit, which evaluate uses
    stop_training: bool = False  # a callback sets it to end fit after the current batch

    @together
    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Loss | str,
        optimizer: Optimizer | str,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: Any = None,
        validation_split: float = 0.0,
        metrics: Sequence[str | Metric] = (),
        callbacks: Iterable[Callback] = (),
        verbose: int = 1,
        initial_epoch: int = 0,
        seed: int | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        compile: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        keep: int = 3,
    ) -> History:
        """Train the model.

        Started by ``mlx.launch -n N``, the same script trains on N processes, each computing its rows of every batch
        (see :mod:`miniframe.distributed`): the results are those of one process, and rank 0 prints.

        Args:
            x: inputs, samples in front: MLX or NumPy arrays, lists, PyTorch tensors; a tuple of them for a model
                with several inputs. Or, without ``y``, an iterable of batches (x, y) or (x, y, sample_weight): a
                list, a DataLoader, a generator (for one epoch), a function that returns a generator. Of those, a
                few batches are in memory at a time, and batches of NumPy arrays are fetched on a thread.
            y: targets, one for each sample.
            loss: a Loss or its name: mse, l1, huber, cross_entropy, bce_with_logits, bce, nll.
            optimizer: an Optimizer of this model, or its name.
            epochs: the number of the last epoch; with ``initial_epoch`` 0, how many to run.
            batch_size: samples in a step. The last batch of an epoch may be shorter.
            shuffle: whether to draw the samples in a new random order in every epoch.
            validation_data: (x, y), (x, y, sample_weight), or an iterable of batches, evaluated after every epoch.
            validation_split: the fraction of the samples to hold out for validation instead, drawn at random.
            metrics: names (accuracy, error_rate, mae, mse) or functions of (prediction, target). In training they
                are measured on each batch before its step, as in Keras.
            callbacks: see :class:`miniframe.Callback`.
            verbose: 0 silent, 1 a progress bar (in a log file, some twenty lines), 2 a line for every epoch.
            initial_epoch: where to start counting, to continue an earlier training.
            seed: makes shuffling, Dropout and the validation split repeatable; None takes it from MLX's random state.
            sample_weight: (N,) factors of the samples' losses.
            class_weight: a dict from class to a factor of its samples' losses.
            compile: False runs every operation by itself, with the same results to rounding.
            checkpoint: a folder to save the whole state of the training in after every epoch.
            resume: go on from the last checkpoint in that folder, if there is one, exactly as if the training had
                never stopped: with the same arguments, the final weights are the same bit for bit.
            keep: how many checkpoints stay in the folder.

        Returns:
            The History: ``history.history["loss"]`` and so on, one number for each epoch. Ctrl-C ends the training
            after the current batch; the history then holds the finished epochs.

        Raises:
            ValueError: for unsuitable data or settings, before anything is trained.
            NonFiniteError: when the loss or a weight becomes NaN or infinite, naming epoch, batch and layer.
        """
        from .. import losses, optimizers, random
        from .. import metrics as metric_names
        from .checkpoints import Snapshot, open_checkpoints
        from .finite import Watch

        _check_numbers(epochs, initial_epoch, validation_split)
        check_batch_size(batch_size, "fit")
        model: Any = self
        loss_function = losses.get(loss)
        stepper = optimizers.get(optimizer, model)
        if not {id(p) for p in stepper.parameters} & {id(p) for p in model.parameters()}:
            raise ValueError("fit: the optimizer holds none of the model's parameters; make it from this model")
        measures = metric_names.get(metrics, loss_function.threshold)
        ranks = team()
        verbose = verbose if ranks.rank == 0 else 0
        checkpoints, snapshot = open_checkpoints(checkpoint, keep, resume, seed)
        seed = ranks.first(draw_seed(seed) if snapshot is None else snapshot.seed)
        random.seed(seed + ranks.rank)  # every rank drops out different units of its different samples

        if class_weight is not None:
            if y is None or sample_weight is not None:
                raise ValueError("fit: class_weight needs targets y, and no sample_weight beside it")
            sample_weight = class_weights(y, class_weight)
        data = as_data(x, y, sample_weight)
        validation = _validation(validation_data)
        if validation_split:
            if validation is not None or not isinstance(data, ArrayData):
                raise ValueError("fit: validation_split needs arrays x and y, and no validation_data beside it")
            data, validation = data.split(validation_split, np.random.default_rng([seed, 2**32 - 1]))
        _try_one_sample(model, loss_function, data)
        split = bool(validation_split)
        look_at_fit(model, loss_function, data, validation, split=split, shuffle=shuffle, batch_size=batch_size)

        steps = data.steps(batch_size)
        done = None if snapshot is None else snapshot.epoch
        ranks.must_agree({"epochs": epochs, "batch_size": batch_size, "the number of batches": steps, "resume": done})
        step = _step(ranks, model, loss_function, stepper, compile, bool(measures))
        history = History()
        names = ["loss", *measures]
        names += [f"val_{name}" for name in names] if validation is not None else []
        params = {"epochs": epochs, "steps": steps, "verbose": verbose, "metrics": names, "step": step, "data": data}
        hooks = CallbackList(callbacks, model, stepper, params)
        model._evaluation = (loss_function, list(metrics) if not isinstance(metrics, str) else [metrics])
        model.stop_training = False
        hooks.call("on_train_begin", {})
        if snapshot is not None:
            snapshot.restore(model, stepper, hooks.callbacks, history)
            initial_epoch = epochs if snapshot.stopped else snapshot.epoch + 1
        watch = Watch(step)
        progress = Progress((initial_epoch, epochs), steps, verbose)
        logs: dict[str, float] = {}
        try:
            with _modes_restored(model), _interrupt() as interrupted:
                model.train()
                for epoch in range(initial_epoch, epochs):
                    hooks.call("on_epoch_begin", epoch, {})
                    rng = np.random.default_rng([seed, epoch]) if shuffle else None
                    with closing(data.epoch(batch_size, rng)) as batches:
                        logs = _run_epoch(epoch, batches, step, ranks, measures, watch, hooks, progress, interrupted)
                    if ranks.any(interrupted()):
                        history.interrupted = True
                        break
                    if validation is not None:
                        scores = _evaluate(model, validation, loss_function, measures, EVALUATION_BATCH, ranks)
                        logs.update({f"val_{name}": value for name, value in scores.items()})
                    history.add(epoch, logs)
                    progress.epoch_end(epoch, logs)
                    hooks.call("on_epoch_end", epoch, logs)
                    if checkpoints is not None:
                        watch.look_at_weights()
                        checkpoints.save(Snapshot.take(model, stepper, hooks.callbacks, history, seed))
                    if ranks.any(model.stop_training):
                        break
                watch.look_at_weights()
        finally:
            progress.close()
            hooks.call("on_train_end", logs)
        if history.interrupted and ranks.rank == 0:
            print(f"fit: interrupted in epoch {epoch + 1} of {epochs}; the model keeps what it has learned")
        return history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Loss | str | None = None,
        metrics: Sequence[str | Metric] | None = None,
        batch_size: int = 1024,
        sample_weight: Any = None,
    ) -> dict[str, float]:
        """The mean loss and metrics over data, in evaluation mode; the model is not changed.

        Args:
            x, y, sample_weight: data as for ``fit``.
            loss, metrics: left out, those of the last ``fit``.
            batch_size: samples computed at once.

        Returns:
            A dict: {"loss": ..., "accuracy": ...}.
        """
        from .. import losses
        from .. import metrics as metric_names

        last_loss, last_metrics = self._evaluation
        loss = last_loss if loss is None else loss
        if loss is None:
            raise ValueError("evaluate: expected a loss, as this model was never fitted: evaluate(x, y, loss=...)")
        check_batch_size(batch_size, "evaluate")
        loss_function = losses.get(loss)
        measures = metric_names.get(last_metrics if metrics is None else metrics, loss_function.threshold)
        data = as_data(x, y, sample_weight, where="evaluate")
        return _evaluate(self, data, loss_function, measures, batch_size)

    def predict(self, x: Any, *, batch_size: int = 1024) -> mx.array:
        """The outputs for inputs ``x`` (an array, or a tuple of arrays), in evaluation mode, joined in order."""
        check_batch_size(batch_size, "predict")
        model: Any = self
        outputs = []
        with _evaluating(model):
            for batch in ArrayData(x, where="predict").epoch(batch_size):
                outputs.append(_forward(model, batch[0]))
                mx.async_eval(outputs[-1])
        if isinstance(outputs[0], tuple):
            return tuple(mx.concatenate(list(parts)) for parts in zip(*outputs))  # type: ignore[return-value]
        return mx.concatenate(outputs) if len(outputs) > 1 else outputs[0]


EVALUATION_BATCH = 1024


def _run_epoch(
    epoch: int,
    batches: Iterator[Any],
    step: Any,
    ranks: Team,
    measures: dict[str, Metric],
    watch: Any,
    hooks: CallbackList,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> dict[str, float]:
    """One pass over the data; returns the means over its samples."""
    from ..metrics import measure

    means = {name: Mean() for name in ("loss", *measures)}
    summed = step.loss.reduction == "sum"
    last_look, shown = time.perf_counter(), 0
    index = -1
    for index, batch in enumerate(batches):
        hooks.call("on_batch_begin", index, {})
        value, prediction = step(*batch)
        step.last_batch = batch
        samples = batch_samples(batch)
        means["loss"].add(value, 1 if summed else samples)
        (target,), count = ranks.part(batch[1:2])
        scores = {name: measure(name, metric, prediction, target) for name, metric in measures.items()}
        for name, score in scores.items():
            means[name].add(score, count)
        watch.note(epoch, index, batch, value)
        if hooks.wants("on_batch_end"):
            watch.look()
            logs = {"loss": number(value), **joined({name: Mean(s, count) for name, s in scores.items()}, ranks)}
            hooks.call("on_batch_end", index, logs)
        now = time.perf_counter()
        late = now - last_look > LOOK_EVERY or watch.nbytes > LOOK_BYTES
        due = late if ranks.size == 1 else (index + 1) % LOOK_TOGETHER == 0
        if due:
            watch.look()
            progress.update(epoch, index + 1 - shown, means["loss"].value())
            last_look, shown = now, index + 1
        if ranks.any(interrupted() or step.model.stop_training, ask=due):
            break
    watch.look()
    progress.update(epoch, index + 1 - shown)
    return {"loss": means.pop("loss").value(), **joined(means, ranks)}


def _evaluate(
    model: Any,
    data: ArrayData | StreamData,
    loss: Loss,
    measures: dict[str, Metric],
    batch_size: int,
    ranks: Team | None = None,
) -> dict[str, float]:
    """The mean loss and metrics; given the ranks, each computes its rows of every batch."""
    from ..metrics import measure

    ranks = ranks or Team(None)

    means = {name: Mean() for name in ("loss", *measures)}
    summed = loss.reduction == "sum"
    with _evaluating(model):
        for batch in data.epoch(batch_size):
            rows, count = ranks.part(batch)
            if count == 0:
                continue
            prediction = _forward(model, rows[0])
            value = loss(prediction, *rows[1:])
            share = count / batch_samples(batch)
            means["loss"].add(value / share if summed else value, share if summed else count)
            for name, metric in measures.items():
                means[name].add(measure(name, metric, prediction, rows[1]), count)
            mx.async_eval(value)
    return joined(means, ranks)


def _step(ranks: Team, model: Any, loss: Loss, optimizer: Optimizer, compile: bool, keep_prediction: bool) -> Any:
    """The training step of a process by itself or, among several ranks, of one that starts where rank 0 is."""
    from .parallel import ParallelStep
    from .step import Step

    if ranks.size == 1:
        return Step(model, loss, optimizer, compile, keep_prediction)
    step = ParallelStep(ranks, model, loss, optimizer, compile, keep_prediction)
    ranks.must_agree({"the number of weights and state arrays": len(step.cells)})
    ranks.share(step.cells)
    optimizer.iterations = ranks.first(optimizer.iterations)
    return step


def _forward(model: Any, x: Any) -> Any:
    return model(*x) if isinstance(x, tuple) else model(x)


def _validation(data: Any) -> ArrayData | StreamData | None:
    """Validation data as (x, y), (x, y, sample_weight) or an iterable of batches."""
    if data is None:
        return None
    if isinstance(data, tuple) and len(data) in (2, 3):
        return ArrayData(*data, where="fit: validation_data")  # type: ignore[misc]
    return as_data(data, where="fit: validation_data")


def _check_numbers(epochs: int, initial_epoch: int, validation_split: float) -> None:
    if epochs < 0 or initial_epoch < 0:
        raise ValueError(f"fit: expected epochs and initial_epoch of at least 0, got {epochs} and {initial_epoch}")
    if not 0 <= validation_split < 1:
        raise ValueError(f"fit: expected 0 <= validation_split < 1, got {validation_split}")


def _try_one_sample(model: Any, loss: Loss, data: ArrayData | StreamData) -> None:
    """Send one sample through model and loss, so that what does not fit fails before any work is done.

    Arrays are lazy: only shapes and types are looked at, nothing is computed.
    """
    if not isinstance(data, ArrayData):
        return
    from ..losses import check_class_labels

    x, y, *weight = next(data.take(np.zeros(1, dtype=int)).epoch(1))
    with _evaluating(model):
        prediction = _forward(model, x)
        loss(prediction, y, *weight)
    if type(loss).__name__ in ("CrossEntropyLoss", "NLLLoss"):
        check_class_labels(data.arrays["y"], prediction.shape[-1])


@contextmanager
def _modes_restored(model: Any) -> Iterator[None]:
    """Afterwards every module is in training or evaluation mode as it was before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode, with nothing kept for backward."""
    from ..graph import no_grad

    with _modes_restored(model), no_grad():
        model.eval()
        yield


@contextmanager
def _interrupt() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C a request, which the yielded function reports; a second one interrupts at once."""
    requested = False

    def request(number: int, frame: Any) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, request)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, before)
