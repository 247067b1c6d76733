"""fit: prepare what was asked, run the two loops, return the history. Keras' habits; the loops are in loop.py."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend.distributed import team
from ..core import random
from ..core.checks import said_by
from ..core.module import Module
from ..core.teach import teach
from ..data.arrays import ArrayData
from ..data.sources import as_both, sample_weights
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .callbacks import Callback, as_callbacks
from .checkpoints import Checkpoints
from .chosen_step import chosen_step
from .evaluation import BATCH
from .goal import goal, with_remedy
from .guardrails import look_at_fit
from .history import History
from .loop import Training
from .metrics import Metric
from .parallel import in_common
from .settings import Settings, check_other
from .trial import DataTrial


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
    metrics: Sequence[str | Metric] | str | Metric | None = None,
    callbacks: Iterable[Callback] | Callback | None = (),
    verbose: int = 1,
    initial_epoch: int = 0,
    seed: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    compile: bool = True,
    precision: str = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    keep: int = 3,
) -> History:
    """Train the model.

    Started by ``mlx.launch -n N``, the same script trains on N processes, each computing its rows of every batch
    (see :mod:`miniframe.distributed`): the results are those of one process, and rank 0 prints.

    Args:
        x: inputs, samples in front: MLX or NumPy arrays, lists, PyTorch tensors; a tuple of them for a model
            with several inputs. Or, without ``y``, an iterable of batches (x, y) or (x, y, sample_weight): a list, a
            DataLoader, a generator (for one epoch), a function that returns a generator. Of those, a few are in memory
            at a time, NumPy's fetched on a thread; so with ``np.load("x.npy", mmap_mode="r")``, larger than memory.
        y: targets, one for each sample.
        loss: a Loss or its name: mse, l1, huber, cross_entropy, bce_with_logits, bce, nll. Left out, like optimizer and
            then metrics, too: what ``compile`` or the last ``fit`` was told.
        optimizer: an Optimizer of this model, or its name; the same name again goes on with it, ``Adam(model)`` anew.
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
        sample_weight, class_weight: (N,) factors of the samples' losses; a dict from class to such a factor.
        compile: False runs every operation by itself, with the same results to rounding.
        precision: "bfloat16" computes in half the bytes and learns in float32; meant for GPUs.
        checkpoint: a folder to save the whole state of the training in after every epoch.
        resume: go on from its last checkpoint as if it had never stopped, bit for bit (Embedding on a GPU: nearly).
        keep: how many checkpoints stay in the folder.

    Returns:
        The History: ``history.history["loss"]`` and so on, one number for each epoch: means over all samples (sums, of
        a loss that sums). Ctrl-C ends the training after the current batch; it then holds the finished epochs.

    Raises:
        ValueError, TypeError: for unsuitable data or settings, before anything is trained, changed or written.
        NonFiniteError: when the loss or a weight becomes NaN or infinite, naming epoch, batch and layer.
    """
    with team().together("fit"):
        settings = Settings(epochs, initial_epoch, batch_size, shuffle, validation_split, verbose, precision)
        check_other(seed, compile, checkpoint, resume, keep)
        with said_by("fit"):
            found = goal(model, loss, optimizer, metrics)
            callbacks = as_callbacks(callbacks)
        sample_weight = sample_weights(y, sample_weight, class_weight)
        data, validation = as_both(x, y, sample_weight, validation_data, validation_split)
        DataTrial(model, found.loss, found.measures, wait=not compile).on(data, batch_size)
        if validation is not None:
            DataTrial(model, found.loss, found.measures).on(validation, BATCH, "fit: validation_data")

        checkpoints = Checkpoints(checkpoint, keep, resume)  # up to here, nothing was changed
        settings = replace(settings, seed=checkpoints.seed(seed))
        random.seed(settings.seed + team().rank)  # every rank drops out different units of its different samples
        if validation_split and isinstance(data, ArrayData):
            data, validation = data.split(validation_split, np.random.default_rng([settings.seed, 2**32 - 1]))
        with said_by("fit"):
            look_at_fit(
                model, found.loss, data, validation, split=validation_split > 0, shuffle=shuffle, batch_size=batch_size
            )
        found.remember(model)

        team().must_agree(in_common(settings, found, data, validation) | checkpoints.facts())
        given = model, found.loss, found.optimizer, compile, bool(found.measures), precision
        step = chosen_step(*given, data.batch_inputs(batch_size))
        training = Training(step, data, validation, found.measures, settings, checkpoints, callbacks)
        return training.run()


teach(Module, with_remedy(fit))
