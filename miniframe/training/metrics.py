"""Metrics: numbers that tell people how good a model is. A metric is a function of (prediction, target).

It returns one number for each sample, or one number, the mean over the batch. All others are tallies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import mlx.core as mx

from ..core.checks import meant, shown
from ..core.ranges import of_class
from ..core.sums import mean
from .history import Mean, Sums
from .tallies import Tally as Tally
from .tallies import f1, perplexity, precision, r2, recall

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
    _same_shape("mae", prediction, target)
    return mean(mx.abs(prediction - target))


def mse(prediction: mx.array, target: mx.array) -> mx.array:
    """Mean squared error."""
    _same_shape("mse", prediction, target)
    return mean(mx.square(prediction - target))


def _same_shape(name: str, prediction: mx.array, target: mx.array) -> None:
    """Broadcast, (N,) against (N, 1) would compare every sample with every other."""
    if prediction.shape != target.shape:
        raise ValueError(f"{name}: expected targets of the prediction's shape {prediction.shape}, got {target.shape}")


def top_k(prediction: mx.array, target: mx.array, k: int = 5) -> mx.array:
    """1 for each sample whose class is among the k with the largest predictions, else 0.

    By name: "top_5", "top_3" and so on. Of equal predictions, those of later classes count as larger, as in
    scikit-learn's ``top_k_accuracy_score``; NaN is larger than all.

    >>> top_k(mx.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), mx.array([1, 2]), k=2).tolist()
    [1.0, 0.0]
    """
    if prediction.ndim < 2 or k < 1:
        raise ValueError(f"top_k: expected predictions (N, classes) and k >= 1, got {prediction.shape} and {k}")
    labels = target if target.ndim < prediction.ndim else mx.argmax(target, axis=-1)
    own = of_class(prediction, labels, "top_k")[..., None]
    places = mx.arange(prediction.shape[-1])
    behind = mx.where(places < labels[..., None], prediction <= own, prediction < own) | (places == labels[..., None])
    return ((~behind).sum(axis=-1) < k).astype(mx.float32)


NAMES: dict[str, Metric] = {
    "accuracy": accuracy,
    "error_rate": error_rate,
    "mae": mae,
    "mse": mse,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "r2": r2,
    "perplexity": perplexity,
}
KERAS = {  # its names, and scikit-learn's: ours
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "rmse": "mse",
    "top_k_categorical_accuracy": "top_5",
    "top5": "top_5",
    "f1_score": "f1",
}
TOP = re.compile(r"top_([1-9][0-9]*)")


def get(metrics: Any, threshold: float = 0.5) -> dict[str, Metric]:
    """Name and function of each metric, from names and callables.

    >>> list(get(["accuracy", "mae"]))
    ['accuracy', 'mae']
    """
    found: dict[str, Metric] = {}
    for metric in as_list(metrics):
        if isinstance(metric, str) and metric in NAMES:
            name, function = metric, NAMES[metric]
        elif isinstance(metric, str) and (match := TOP.fullmatch(metric)):
            name, function = metric, partial(top_k, k=int(match.group(1)))
        elif isinstance(metric, type) and issubclass(metric, Tally):
            raise TypeError(f"expected a metric, got the class {metric.__name__}; write {metric.__name__}()")
        elif callable(metric):
            name, function = getattr(metric, "__name__", type(metric).__name__), metric
            name = next((known for known, one in NAMES.items() if one is metric), name)
        else:
            known = f"{', '.join(NAMES)}, top_5, or a function of (prediction, target)"
            raise ValueError(f"unknown metric {shown(metric)}; known: {known}{meant(metric, NAMES, KERAS)}")
        if name in found:
            raise ValueError(f"metric {name!r} is given twice")
        if function in (accuracy, error_rate):
            function = _with_threshold(function, threshold)
        found[name] = function.with_threshold(threshold) if isinstance(function, Tally) else function
    for name in found:
        if name == "loss" or name.startswith("val_") and name[4:] in ("loss", *found):
            raise ValueError(
                f"metric {name!r}: that name stands for another number of the history; give the function another name"
            )
    return found


def as_list(metrics: Any) -> list[str | Metric]:
    """Several metrics, a single one, or None, as a list."""
    if metrics is None:
        return []
    if isinstance(metrics, str) or callable(metrics):
        return [metrics]
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics: expected names or functions of (prediction, target), got {shown(metrics)}")
    return list(metrics)


def _with_threshold(metric: Metric, threshold: float) -> Metric:
    return lambda prediction, target: metric(prediction, target, threshold)


def totals(
    measures: dict[str, Metric], measured: Mapping[str, Any] | None = None, count: int = 0
) -> dict[str, Mean | Sums]:
    """What the measurements of every batch are added to; given the first batch's, with these already in it."""
    found = {name: Sums(metric) if isinstance(metric, Tally) else Mean() for name, metric in measures.items()}
    for name, value in (measured or {}).items():
        found[name].add(value, count)
    return found


def measure(name: str, metric: Metric, prediction: Any, target: mx.array) -> Any:
    """The mean of a metric over a batch, as a single number or an array that holds one; of a Tally, its parts.

    Their arithmetic is started at once: nobody waits for it later, and the prediction need not be kept until then.
    """
    if isinstance(metric, Tally):
        parts = metric.parts(prediction, target)
        if isinstance(parts, mx.array):
            mx.async_eval(parts)
        return parts
    value = metric(prediction, target)
    if isinstance(value, mx.array) and value.ndim:
        value = mean(value)
    if not isinstance(value, mx.array) and not hasattr(value, "__float__"):
        raise TypeError(f"metric {name!r}: expected a number or an array, got {type(value).__name__}")
    if isinstance(value, mx.array):
        mx.async_eval(value)
    return value
