"""The loss and metrics of a model over data, and its outputs, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .. import losses
from ..backend.distributed import Team
from ..core.arrays import as_tuple
from ..core.checks import said_by, whole
from ..core.module import Module
from ..core.teach import teach
from ..core.untouched import evaluating
from ..data.arrays import ArrayData
from ..data.sources import as_data
from ..data.streams import StreamData
from ..losses.base import Loss
from .goal import with_remedy
from .history import joined, mean_or_sum
from .metrics import Metric, measure, totals
from .metrics import get as metrics_by_name
from .trial import DataTrial, check_count, look_at_inputs, whole_number_readers

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

    A loss with ``reduction="sum"`` is summed over all samples. Neither depends on ``batch_size``.

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
    whole("evaluate", batch_size=batch_size)
    with said_by("evaluate"):
        loss_function = losses.get(loss)
        measures = metrics_by_name(last_metrics if metrics is None else metrics, loss_function.threshold)
    data = as_data(x, y, sample_weight, where="evaluate")
    DataTrial(model, loss_function, measures).on(data, batch_size, "evaluate")
    return scores(model, data, loss_function, measures, batch_size)


def predict(model: Module, x: Any, *, batch_size: int = BATCH) -> mx.array:
    """The outputs for inputs ``x`` (an array, or a tuple of arrays), in evaluation mode, joined in order, computed."""
    whole("predict", batch_size=batch_size)
    data = ArrayData(x, where="predict")
    with said_by("predict"):
        check_count(model, data.inputs)
        try:
            readers = whole_number_readers(model, data.first(1)[0])
        except ValueError:  # which names the shape of one sample: better that of all
            readers = whole_number_readers(model, data.first(len(data))[0])
        look_at_inputs(readers, data.inputs)
    outputs = []
    with evaluating(model):
        for number, batch in enumerate(data.epoch(batch_size), start=1):
            with said_by(f"predict: batch {number}"):
                outputs.append(model(*as_tuple(batch[0])))
            mx.async_eval(outputs[-1])
    several = isinstance(outputs[0], tuple)
    joint: Any = tuple(mx.concatenate(list(parts)) for parts in zip(*map(as_tuple, outputs)))
    mx.eval(joint)  # so that any thread can read them
    return joint if several else joint[0]


def scores(
    model: Module,
    data: ArrayData | StreamData,
    loss: Loss,
    measures: dict[str, Metric],
    batch_size: int = BATCH,
    ranks: Team | None = None,
    where: str = "evaluate",
) -> dict[str, float]:
    """The mean loss (with reduction="sum", the sum over all samples) and the metrics.

    Args:
        ranks: each of them computes its rows of every batch; left out, there is only this process.
        where: the name that errors about a batch begin with.
    """
    ranks = ranks or Team(None)
    means: dict[str, Any] = {"loss": mean_or_sum(loss.reduction), **totals(measures)}
    with evaluating(model):
        for number, batch in enumerate(data.epoch(batch_size), start=1):
            rows, count = ranks.part(batch)
            with said_by(f"{where}: batch {number}"):
                prediction = model(*as_tuple(rows[0]))
                for name, metric in measures.items():
                    means[name].add(measure(name, metric, prediction, rows[1]), count)
                if count:  # a rank without rows only has to know the form of what is added up
                    value = loss(prediction, *rows[1:])
                    means["loss"].add(value, loss.weight_of(rows[1]))
                    mx.async_eval(value)
    return joined(means, ranks)


# _evaluation: the loss and the metrics of the last fit
teach(Module, with_remedy(evaluate), with_remedy(predict), _evaluation=(None, ()))
