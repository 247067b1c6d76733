"""A loss looks at its first predictions: what it is given may not be what it takes it for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.warn import warn_once

SOFTMAX = (
    "CrossEntropyLoss applies softmax itself, but the predictions are already probabilities: the second softmax "
    "flattens the gradients and training is slow. Remove the Softmax layer at the end of the model"
)
LOGITS = (
    "BCELoss expects probabilities between 0 and 1, but {}. "
    "End the model with Sigmoid(), or keep it and use BCEWithLogitsLoss"
)


def look_at(loss: Any, prediction: Any) -> None:
    """Warn of probabilities where a loss wants logits, and of logits where it wants probabilities.

    Raises:
        TypeError: for several predictions at once.
    """
    if isinstance(prediction, tuple):
        raise TypeError(
            f"{type(loss).__name__}: expected one array as the prediction, got a tuple of {len(prediction)}; give "
            "each output a loss of its own and add their gradients, or concatenate the outputs in forward"
        )
    if loss.wants == "any numbers" or not isinstance(prediction, mx.array):
        return
    try:
        values = np.array(prediction.astype(mx.float32))
    except (ValueError, RuntimeError):  # inside a function transformation there are no values to look at
        return
    if loss.wants == "logits":
        if values.ndim > 1 and values.shape[-1] > 1 and _are_probabilities(values):
            warn_once(loss, "softmax", SOFTMAX)
    elif values.size and not (values.min() >= 0 and values.max() <= 1):
        complain_of_logits(loss, f"got values from {values.min():.3g} to {values.max():.3g}")


@contextmanager
def not_looking(loss: Any) -> Iterator[None]:
    """Inside, predictions are not looked at, and none of the looks is used up: for who computes on the side."""
    looks, loss._looks = loss._looks, 0
    try:
        yield
    finally:
        loss._looks = looks


def complain_of_logits(loss: Any, what_was_seen: str) -> None:
    """Warn, once, that the predictions are no probabilities."""
    warn_once(loss, "logits", LOGITS.format(what_was_seen))


def _are_probabilities(values: np.ndarray) -> bool:
    return bool(values.size and (values >= 0).all() and np.abs(values.sum(axis=-1) - 1).max(initial=0) < 1e-5)
