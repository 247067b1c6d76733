"""Metrics: numbers that tell people how good a model is. A metric is a function of (prediction, target).

It returns one number for each sample, or one number, the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from ..core.sums import mean

Metric = Callable[..., Any]


def accuracy(prediction: mx.array, target: mx.array, threshold: float = 0.5) -> mx.array:
    """1 for each sample whose class is right, else 0.

    The predicted class is the largest of several columns or, for a single column, whether it exceeds ``threshold``
    (fit and evaluate use the loss's: 0 for BCEWithLogitsLoss). Targets are class numbers, one-hot rows, or 0 and 1.

    >>> accuracy(mx.array([[0.9, 0.1], [0.2, 0.8]]), mx.array([0, 0])).tolist()
    [1.0, 0.0]
    """
    if prediction.ndim < 2 or prediction.shape[-1] == 1:
        right = (prediction.reshape(-1) > threshold) == (target.reshape(-1) > 0.5)
    else:
        labels = target if target.ndim < prediction.ndim else mx.argmax(target, axis=-1)
        right = mx.argmax(prediction, axis=-1) == labels
    return right.astype(mx.float32)


def error_rate(prediction: mx.array, target: mx.array, threshold: float = 0.5) -> mx.array:
    """1 for each sample whose class is wrong, else 0: one minus accuracy."""
    return 1 - accuracy(prediction, target, threshold)


def mae(prediction: mx.array, target: mx.array) -> mx.array:
    """Mean absolute error."""
    return mean(mx.abs(prediction - target))


def mse(prediction: mx.array, target: mx.array) -> mx.array:
    """Mean squared error."""
    return mean(mx.square(prediction - target))


NAMES: dict[str, Metric] = {"accuracy": accuracy, "error_rate": error_rate, "mae": mae, "mse": mse}


def get(metrics: Sequence[str | Metric] | None, threshold: float = 0.5) -> dict[str, Metric]:
    """Name and function of each metric, from names and callables.

    >>> list(get(["accuracy", "mae"]))
    ['accuracy', 'mae']
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    found: dict[str, Metric] = {}
    for metric in metrics or ():
        if isinstance(metric, str) and metric in NAMES:
            name, function = metric, NAMES[metric]
        elif callable(metric):
            name, function = getattr(metric, "__name__", type(metric).__name__), metric
        else:
            raise ValueError(
                f"unknown metric {metric!r}; known: {', '.join(NAMES)}, or a function of (prediction, target)"
            )
        if name == "loss":
            raise ValueError("metric 'loss': that name is the loss's own; give the function another name")
        if name in found:
            raise ValueError(f"metric {name!r} is given twice")
        if function in (accuracy, error_rate):
            function = _with_threshold(function, threshold)
        found[name] = function
    return found


def _with_threshold(metric: Metric, threshold: float) -> Metric:
    return lambda prediction, target: metric(prediction, target, threshold)


def measure(name: str, metric: Metric, prediction: Any, target: mx.array) -> Any:
    """The mean of a metric over a batch, as a single number or an array that holds one."""
    value = metric(prediction, target)
    if isinstance(value, mx.array) and value.ndim:
        value = mean(value)
    if not isinstance(value, mx.array) and not hasattr(value, "__float__"):
        raise TypeError(f"metric {name!r}: expected a number or an array, got {type(value).__name__}")
    return value
