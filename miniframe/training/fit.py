"""fit: prepare what was asked, run the two loops, return the history. Keras' habits; the loops are in loop.py."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend.distributed import team
from ..core import random
from ..core.module import Module
from ..core.teach import teach
from ..data.arrays import ArrayData
from ..data.sources import as_data, as_validation, class_weights
from ..data.streams import StreamData
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .callbacks import Callback
from .checkpoints import Checkpoints
from .chosen_step import chosen_step
from .evaluation import try_one_sample
from .goal import goal, with_remedy
from .guardrails import look_at_fit
from .history import History
from .loop import Training
from .metrics import Metric
from .settings import Settings

Data = ArrayData | StreamData


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    loss: Loss | str | None = None,
    optimizer: Optimizer | str | None = None,
    epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    validation_data: Any = None,
    validation_split: float = 0.0,
    metrics: Sequence[str | Metric] | None = None,
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
        loss: a Loss or its name: mse, l1, huber, cross_entropy, bce_with_logits, bce, nll. Left out, like optimizer:
            what ``compile`` or the last ``fit`` was told; then the metrics are those, too.
        optimizer: an Optimizer of this model, or its name. Given by the same name again, training goes on with the
            same optimizer: its moments, its count of steps, its learning rate. ``Adam(model)`` begins anew.
        epochs: the number of the last epoch; with ``initial_epoch`` 0, how many to run.
        batch_size: samples in a step. The last batch of an epoch may be shorter.
        shuffle: whether to draw the samples in a new random order in every epoch.
        validation_data: (x, y), (x, y, sample_weight), or an iterable of batches, evaluated after every epoch.
        validation_split: the fraction of the samples to hold out for validation instead, drawn at random.
        metrics: names (accuracy, error_rate, top_5, precision, recall, f1, mae, mse, r2, perplexity) or functions of
            (prediction, target). In training they are measured on each batch before its step, as in Keras.
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
    settings = Settings(
        epochs, initial_epoch, batch_size, shuffle, validation_split, verbose, 0 if seed is None else seed
    )
    with team().together():
        loss, optimizer, measures = goal(model, loss, optimizer, metrics)
        checkpoints = Checkpoints(checkpoint, keep, resume)
        settings = replace(settings, seed=checkpoints.seed(seed))
        random.seed(settings.seed + team().rank)  # every rank drops out different units of its different samples

        data, validation = _data(x, y, sample_weight, class_weight, validation_data, settings)
        _try(model, loss, data, validation, settings)

        facts = {"epochs": epochs, "batch_size": batch_size, "the number of batches": data.steps(batch_size)}
        team().must_agree({**facts, "resume": checkpoints.epoch})
        step = chosen_step(model, loss, optimizer, compile, keep_prediction=bool(measures))
        training = Training(step, data, validation, measures, settings, checkpoints, callbacks)
        return training.run()


def _data(
    x: Any, y: Any, sample_weight: Any, class_weight: Any, validation_data: Any, settings: Settings
) -> tuple[Data, Data | None]:
    """What is trained on, and what is held out."""
    data = as_data(x, y, _weights(y, sample_weight, class_weight))
    validation = as_validation(validation_data)
    if settings.validation_split:
        if validation is not None or not isinstance(data, ArrayData):
            raise ValueError("fit: validation_split needs arrays x and y, and no validation_data beside it")
        rng = np.random.default_rng([settings.seed, 2**32 - 1])
        data, validation = data.split(settings.validation_split, rng)
    return data, validation


def _weights(y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """The samples' weights, from themselves or from their classes'."""
    if class_weight is None:
        return sample_weight
    if y is None or sample_weight is not None:
        raise ValueError("fit: class_weight needs targets y, and no sample_weight beside it")
    return class_weights(y, class_weight)


def _try(model: Module, loss: Loss, data: Data, validation: Data | None, settings: Settings) -> None:
    """What does not fit fails here, before anything is trained; what looks like a mistake is said."""
    try_one_sample(model, loss, data)
    if validation is not None:
        try_one_sample(model, loss, validation)
    look_at_fit(
        model, loss, data, validation,
        split=settings.validation_split > 0, shuffle=settings.shuffle, batch_size=settings.batch_size,
    )  # fmt: skip


teach(Module, with_remedy(fit))
