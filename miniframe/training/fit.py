"""fit, evaluate and predict, with Keras' habits: what they accept, checked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..distributed import Team, team, together
from ..guardrails import look_at_fit
from . import evaluation
from .callbacks import Callback, CallbackList
from .data import ArrayData, as_data, as_validation, check_batch_size, class_weights, draw_seed
from .evaluation import predictions, scores, try_one_sample
from .history import History
from .progress import Progress

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric
    from ..optimizers import Optimizer


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
                few batches are in memory at a time, and batches of NumPy arrays are fetched on a thread. So are those
                of memory-mapped arrays, ``np.load("x.npy", mmap_mode="r")``, which may be larger than memory.
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
        from .checkpoints import open_checkpoints
        from .loop import Loop

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

        data = as_data(x, y, _weights(y, sample_weight, class_weight))
        validation = as_validation(validation_data)
        if validation_split:
            if validation is not None or not isinstance(data, ArrayData):
                raise ValueError("fit: validation_split needs arrays x and y, and no validation_data beside it")
            data, validation = data.split(validation_split, np.random.default_rng([seed, 2**32 - 1]))
        try_one_sample(model, loss_function, data)
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
            if verbose:
                print(f"fit: going on after epoch {snapshot.epoch + 1}, from {checkpoint}")
        progress = Progress((initial_epoch, epochs), steps, verbose)
        loop = Loop(
            step, data, validation, measures, hooks, progress, ranks, seed, shuffle, batch_size, checkpoints, history
        )
        return loop.run(initial_epoch, epochs)

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Loss | str | None = None,
        metrics: Sequence[str | Metric] | None = None,
        batch_size: int = evaluation.BATCH,
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
        return scores(self, data, loss_function, measures, batch_size)

    def predict(self, x: Any, *, batch_size: int = evaluation.BATCH) -> mx.array:
        """The outputs for inputs ``x`` (an array, or a tuple of arrays), in evaluation mode, joined in order."""
        check_batch_size(batch_size, "predict")
        return predictions(self, x, batch_size)


def _weights(y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """The samples' weights, from themselves or from their classes'."""
    if class_weight is None:
        return sample_weight
    if y is None or sample_weight is not None:
        raise ValueError("fit: class_weight needs targets y, and no sample_weight beside it")
    return class_weights(y, class_weight)


def _step(ranks: Team, model: Any, loss: Loss, optimizer: Optimizer, compile: bool, keep_prediction: bool) -> Any:
    """The training step of a process by itself or, among several ranks, of one that starts where rank 0 is."""
    from .cores import choose
    from .parallel import ParallelStep

    if ranks.size == 1:
        return choose(model, loss, compile)(model, loss, optimizer, compile, keep_prediction)
    step = ParallelStep(ranks, model, loss, optimizer, compile, keep_prediction)
    ranks.must_agree({"the number of weights and state arrays": len(step.cells)})
    ranks.share(step.cells)
    optimizer.iterations = ranks.first(optimizer.iterations)
    return step


def _check_numbers(epochs: int, initial_epoch: int, validation_split: float) -> None:
    if epochs < 0 or initial_epoch < 0:
        raise ValueError(f"fit: expected epochs and initial_epoch of at least 0, got {epochs} and {initial_epoch}")
    if not 0 <= validation_split < 1:
        raise ValueError(f"fit: expected 0 <= validation_split < 1, got {validation_split}")
