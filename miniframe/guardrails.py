"""Guardrails: the classical mistakes that train without complaint, noticed and explained, each with its remedy.

Nothing here stops a training: every finding is a GuardrailWarning, given once for each model, loss or optimizer. Only
what is cheap is looked at: a loss looks at its first few predictions, fit at some samples and at the labels.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from .arrays import is_floating
from .distributed import rank

if TYPE_CHECKING:
    from .losses import Loss
    from .training.data import ArrayData, StreamData

LOOKS = 3  # a loss looks at so many of its first predictions
SAMPLES = 16  # fit tries the model on so many


class GuardrailWarning(UserWarning):
    """A likely mistake in how a training was put together; the message says what to do instead."""


def warn_once(owner: Any, kind: str, words: str) -> None:
    """Warn, unless this owner (a model, a loss, an optimizer) has been warned of this kind before."""
    warned: set[str] = vars(owner).setdefault("_warned", set())
    if kind not in warned and rank() == 0:
        warned.add(kind)
        warnings.warn(words, GuardrailWarning, stacklevel=3)


# -------------------------------------------------------------------- what a loss is given


def look_at_prediction(loss: Loss, prediction: Any) -> None:
    """Warn of probabilities where a loss wants logits, and of logits where it wants probabilities."""
    from .losses import BCELoss, CrossEntropyLoss

    if not isinstance(loss, (BCELoss, CrossEntropyLoss)) or not isinstance(prediction, mx.array):
        return
    try:
        values = np.array(prediction.astype(mx.float32))
    except (ValueError, RuntimeError):  # inside a function transformation there are no values to look at
        return
    if isinstance(loss, CrossEntropyLoss):
        if values.ndim > 1 and values.shape[-1] > 1 and _are_probabilities(values):
            warn_once(loss, "softmax", _SOFTMAX)
    elif values.size and not (values.min() >= 0 and values.max() <= 1):
        warn_once(loss, "logits", _LOGITS.format(f"got values from {values.min():.3g} to {values.max():.3g}"))


def _are_probabilities(values: np.ndarray) -> bool:
    return bool((values >= 0).all() and np.abs(values.sum(axis=-1) - 1).max(initial=0) < 1e-5)


_SOFTMAX = (
    "CrossEntropyLoss applies softmax itself, but the predictions are already probabilities: the second softmax "
    "flattens the gradients and training is slow. Remove the Softmax layer at the end of the model"
)
_LOGITS = (
    "BCELoss expects probabilities between 0 and 1, but {}. "
    "End the model with Sigmoid(), or keep it and use BCEWithLogitsLoss"
)


# -------------------------------------------------------------------- what fit is given


def look_at_fit(
    model: Any,
    loss: Loss,
    data: ArrayData | StreamData,
    validation: ArrayData | StreamData | None,
    *,
    split: bool,
    shuffle: bool,
    batch_size: int,
) -> None:
    """What can be seen before the first step: the last layer against the loss, the labels' order and the split.

    Args:
        split: whether ``validation`` was split off the training data.
        shuffle, batch_size: as given to fit.
    """
    from .training.data import ArrayData

    if not isinstance(data, ArrayData):
        return
    _look_at_output(model, loss, data)
    if not shuffle and batch_size < len(data):
        classes = class_numbers(data.arrays["y"])
        if classes is not None and _in_blocks(classes):
            warn_once(model, "sorted", _SORTED.format(len(np.unique(classes))))
    if split and isinstance(validation, ArrayData):
        _look_at_split(model, data, validation)


def _look_at_output(model: Any, loss: Loss, data: ArrayData) -> None:
    from .graph import Variable, no_grad
    from .layers.linear import Linear
    from .losses import BCELoss, CrossEntropyLoss
    from .module import EMPTY
    from .training.modes import modes_restored

    if not isinstance(loss, (BCELoss, CrossEntropyLoss)):
        return
    x = next(data.take(np.arange(min(SAMPLES, len(data)))).epoch(SAMPLES))[0]
    with modes_restored(model):
        model.eval()
        output = model(*[Variable(part) for part in (x if isinstance(x, tuple) else (x,))])
        for module in model.modules():
            module.saved = EMPTY
    if isinstance(loss, BCELoss) and isinstance(getattr(output, "module", None), Linear):
        warn_once(
            loss, "logits", _LOGITS.format(f"the model ends with {output.module.title()}, which gives any number")
        )
    with no_grad():
        look_at_prediction(loss, getattr(output, "value", None))


def _look_at_split(model: Any, data: ArrayData, validation: ArrayData) -> None:
    training_classes, held_out = class_numbers(data.arrays["y"]), class_numbers(validation.arrays["y"])
    if training_classes is None or held_out is None:
        return
    everything = np.unique(np.concatenate([training_classes, held_out]))
    for name, classes in (("validation", held_out), ("training", training_classes)):
        if len(everything) > 1 and len(np.unique(classes)) == 1:
            warn_once(model, "split", _SPLIT.format(name, len(classes), classes[0]))


def class_numbers(y: mx.array) -> np.ndarray | None:
    """The class of every sample, from integers, zeros and ones, or one-hot rows; None where y holds no classes."""
    if y.ndim > 2:
        return None
    values = np.array(y)
    if values.ndim == 2 and values.shape[1] > 1:
        one_hot = ((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all()
        return values.argmax(axis=1) if one_hot else None
    values = values.reshape(-1)
    if is_floating(y) and not ((values == 0) | (values == 1)).all():
        return None
    return values.astype(int)


def _in_blocks(classes: np.ndarray) -> bool:
    """Whether every class comes in one piece: classes of two samples or more, and no class after another twice."""
    kinds = len(np.unique(classes))
    changes = int((classes[1:] != classes[:-1]).sum())
    return kinds > 1 and changes == kinds - 1 and len(classes) >= 2 * kinds


_SORTED = (
    "fit: the labels come sorted, {} classes one after the other, and shuffle=False: most batches hold a single class "
    "and the model forgets one while it learns the next. Use shuffle=True"
)
_SPLIT = (
    "fit: the {} part of validation_split has {} samples, all of class {}, so its numbers say nothing about the "
    "others. Hold out a larger fraction, or pass validation_data with every class"
)


# -------------------------------------------------------------------- what an optimizer is given


def gradients_not_zeroed(optimizer: Any) -> None:
    """A backward added to gradients that a step had already used."""
    warn_once(optimizer, "zero_grad", _NOT_ZEROED)


_NOT_ZEROED = (
    "backward added to gradients that optimizer.step() has already used, so every step repeats all earlier ones. "
    "Call model.zero_grad() before each backward"
)
