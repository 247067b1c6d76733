"""The loss and metrics of a model over data, without training it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..distributed import Team
from .data import ArrayData, StreamData, batch_samples
from .history import Mean, joined
from .modes import evaluating

if TYPE_CHECKING:
    from ..losses import Loss
    from ..metrics import Metric

BATCH = 1024  # samples computed at once, unless asked otherwise


def forward(model: Any, x: Any) -> Any:
    """The model's output for a batch of inputs: one array, or a tuple for a model with several."""
    return model(*x) if isinstance(x, tuple) else model(x)


def scores(
    model: Any,
    data: ArrayData | StreamData,
    loss: Loss,
    measures: dict[str, Metric],
    batch_size: int = BATCH,
    ranks: Team | None = None,
) -> dict[str, float]:
    """The mean loss and metrics; given the ranks, each computes its rows of every batch."""
    from ..metrics import measure

    ranks = ranks or Team(None)
    means = {name: Mean() for name in ("loss", *measures)}
    summed = loss.reduction == "sum"
    with evaluating(model):
        for batch in data.epoch(batch_size):
            rows, count = ranks.part(batch)
            if count == 0:
                continue
            prediction = forward(model, rows[0])
            value = loss(prediction, *rows[1:])
            share = count / batch_samples(batch)
            means["loss"].add(value / share if summed else value, share if summed else count)
            for name, metric in measures.items():
                means[name].add(measure(name, metric, prediction, rows[1]), count)
            mx.async_eval(value)
    return joined(means, ranks)


def predictions(model: Any, x: Any, batch_size: int) -> Any:
    """The outputs for inputs ``x``, joined in order; a tuple of arrays from a model with several outputs."""
    outputs = []
    with evaluating(model):
        for batch in ArrayData(x, where="predict").epoch(batch_size):
            outputs.append(forward(model, batch[0]))
            mx.async_eval(outputs[-1])
    if isinstance(outputs[0], tuple):
        return tuple(mx.concatenate(list(parts)) for parts in zip(*outputs))
    return mx.concatenate(outputs) if len(outputs) > 1 else outputs[0]


def try_one_sample(model: Any, loss: Loss, data: ArrayData | StreamData) -> None:
    """Send one sample through model and loss, so that what does not fit fails before any work is done.

    Arrays are lazy: only shapes and types are looked at, nothing is computed. A stream is not read for this.
    """
    if not isinstance(data, ArrayData):
        return
    x, y, *weight = next(data.take(np.zeros(1, dtype=int)).epoch(1))
    with evaluating(model):
        prediction = forward(model, x)
        loss(prediction, y, *weight)
    loss.check_values(prediction, data.arrays["y"])
