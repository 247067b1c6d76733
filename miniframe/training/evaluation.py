"""The loss and metrics of a model over data, and its outputs, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .. import losses
from ..backend.distributed import Team
from ..core.arrays import as_tuple, is_floating
from ..core.module import Module
from ..core.teach import teach
from ..core.untouched import evaluating, untouched
from ..data.arrays import ArrayData
from ..data.batch import batch_samples, check_batch_size
from ..data.sources import as_data
from ..data.streams import StreamData
from ..graph.passes import Pass
from ..losses.base import Loss
from .history import Mean, joined
from .metrics import Metric, measure, totals
from .metrics import get as metrics_by_name

BATCH = 1024  # samples computed at once, unless asked otherwise


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    loss: Loss | str | None = None,
    metrics: Sequence[str | Metric] | None = None,
    batch_size: int = BATCH,
    sample_weight: Any = None,
) -> dict[str, float]:
    """The mean loss and metrics over data, in evaluation mode; the model is not changed.

    Args:
        x, y, sample_weight: data as for ``fit``.
        loss, metrics: left out, those of ``compile`` or the last ``fit``.
        batch_size: samples computed at once.

    Returns:
        A dict: {"loss": ..., "accuracy": ...}.
    """
    last_loss, last_metrics = model._evaluation
    loss = last_loss if loss is None else loss
    if loss is None:
        raise ValueError("evaluate: expected a loss, as this model was never fitted or compiled: write loss=...")
    check_batch_size(batch_size, "evaluate")
    loss_function = losses.get(loss)
    measures = metrics_by_name(last_metrics if metrics is None else metrics, loss_function.threshold)
    data = as_data(x, y, sample_weight, where="evaluate")
    try_one_sample(model, loss_function, data)
    return scores(model, data, loss_function, measures, batch_size)


def predict(model: Module, x: Any, *, batch_size: int = BATCH) -> mx.array:
    """The outputs for inputs ``x`` (an array, or a tuple of arrays), in evaluation mode, joined in order, computed."""
    check_batch_size(batch_size, "predict")
    outputs = []
    with evaluating(model):
        for batch in ArrayData(x, where="predict").epoch(batch_size):
            outputs.append(model(*as_tuple(batch[0])))
            mx.async_eval(outputs[-1])
    several = isinstance(outputs[0], tuple)
    whole: Any = tuple(mx.concatenate(list(parts)) for parts in zip(*map(as_tuple, outputs)))
    mx.eval(whole)  # so that any thread can read them
    return whole if several else whole[0]


def scores(
    model: Module,
    data: ArrayData | StreamData,
    loss: Loss,
    measures: dict[str, Metric],
    batch_size: int = BATCH,
    ranks: Team | None = None,
) -> dict[str, float]:
    """The mean loss and metrics; given the ranks, each computes its rows of every batch."""
    ranks = ranks or Team(None)
    means: dict[str, Any] = {"loss": Mean(), **totals(measures)}
    summed = loss.reduction == "sum"
    with evaluating(model):
        for batch in data.epoch(batch_size):
            rows, count = ranks.part(batch)
            prediction = model(*as_tuple(rows[0]))
            if count == 0:  # a rank without rows, which still has to know the form of what is added up
                for name, metric in measures.items():
                    means[name].add(measure(name, metric, prediction, rows[1]), 0)
                continue
            value = loss(prediction, *rows[1:])
            if not isinstance(data, ArrayData):  # of which all targets have been looked at
                loss.check_values(prediction, rows[1])
            share = count / batch_samples(batch)
            means["loss"].add(value / share if summed else value, share if summed else loss.weight_of(rows[1]))
            for name, metric in measures.items():
                means[name].add(measure(name, metric, prediction, rows[1]), count)
            mx.async_eval(value)
    return joined(means, ranks)


def try_one_sample(model: Module, loss: Loss, data: ArrayData | StreamData) -> None:
    """Send one sample through model and loss, so that what does not fit fails before any work is done.

    Arrays are lazy: only shapes and types are looked at, nothing is computed. A stream is not read for this.
    """
    if not isinstance(data, ArrayData):
        return
    x, y, *weight = data.first(1)
    try:
        with evaluating(model):
            prediction = model(*as_tuple(x))
            loss(prediction, y, *weight)
    except ValueError as error:
        raise _with_users_shapes(model, loss, data, error) from None
    loss.check_values(prediction, data.arrays["y"])
    inputs = [array for name, array in data.arrays.items() if name.startswith("x")]
    if not all(is_floating(array) for array in inputs):
        _check_integers(model, x, inputs)


def _with_users_shapes(model: Module, loss: Loss, data: ArrayData, error: ValueError) -> ValueError:
    """The error that one sample met, as all samples meet it: it names their shapes, which are those the user knows."""
    x, y, *weight = data.first(len(data))
    try:
        with evaluating(model):
            loss.forward(model(*as_tuple(x)), y, *weight)
    except ValueError as found:
        return found
    return error


def _check_integers(model: Module, sample: Any, inputs: list[mx.array]) -> None:
    """Show all whole numbers to the layers that will be given them, such as an Embedding, before any work is done."""
    with untouched(model):
        model.eval()
        seen = Pass(model, sample, "fit")
    for node in seen.calls.values():
        for source in node.inputs:
            if source in seen.inputs and hasattr(node.module, "check"):
                array = inputs[seen.inputs.index(source)]
                if not is_floating(array):
                    node.module.check(array)  # type: ignore[union-attr]


# _evaluation: the loss and the metrics of the last fit
teach(Module, evaluate, predict, _evaluation=(None, ()))
