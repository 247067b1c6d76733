"""The training step of one rank among several: its rows of the batch, and one message before the update."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import mlx.core as mx

from ..backend.team import Team, kind
from ..core.arrays import is_floating, number
from ..core.module import Module
from ..data.batch import batch_samples
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .evaluation import BATCH
from .goal import Goal
from .settings import Settings
from .step import Step, forward_backward


class ParallelStep(Step):
    """A Step that is called with the whole batch, computes this rank's rows, and averages over the ranks.

    With n_r of the batch's n samples on rank r, every gradient of the mean loss is g = Σ_r (n_r / n) g_r, and so are
    the loss and the running statistics (for a loss that sums, g = Σ_r g_r). A batch smaller than the team leaves some
    ranks without rows; they compute the first one and weigh it 0.

    Args:
        team: the ranks; the other arguments are those of Step.
    """

    def __init__(self, team: Team, model: Module, loss: Loss, optimizer: Optimizer, *options: Any) -> None:
        super().__init__(model, loss, optimizer, *options)
        self.team = team
        self.began = False

    def renew(self) -> None:
        super().renew()
        self.statistics = [b for b in self.model.buffers() if is_floating(b.value)]

    def kinds(self) -> dict[str, str]:
        """The types and shapes of all that the ranks share: weights, statistics and the optimizer's state."""
        cells = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        state = {
            f"array {place} of the optimizer's state": c for place, c in enumerate(self.optimizer.cells(), start=1)
        }
        return {name: kind(cell.value) for name, cell in {**cells, **state}.items()}

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        if not self.began:
            self.began = True
            self.team.must_agree(shapes_of(batch))
        self.team.advance("training on a batch", batch_samples(batch))
        rows, count = self.team.part(batch)
        fraction = count / batch_samples(batch)
        weight = float(count > 0)
        if count and self.loss.reduction == "mean":
            weight = number(self.loss.share_of(rows[1], batch[1]))
        return super().__call__(mx.array([weight, fraction]), *rows)

    def gradients(self, weights: mx.array, *batch: Any) -> tuple[mx.array, Any]:
        """Forward and backward on this rank's rows, then the means over all ranks in one message."""
        value, prediction = forward_backward(self.model, self.loss, *batch, precision=self.precision)
        weight, fraction = weights[0], weights[1]
        learned = [p for p in self.optimizer.parameters if p.grad is not None and p.trainable]
        grads = [_times(p.grad, weight) for p in learned]
        statistics = [_times(b.value, fraction) for b in self.statistics]
        value, *sums = self.team.sum([value * weight, *grads, *statistics])
        for parameter, grad in zip(learned, sums):
            parameter.grad = grad
        for buffer, mean in zip(self.statistics, sums[len(learned) :]):
            buffer.value = mean
        return value, prediction


def in_common(settings: Settings, found: Goal, data: Any, validation: Any) -> dict[str, Any]:
    """What has to be the same on all ranks, by the names that users know."""
    given = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "verbose"}
    return {
        **given,
        "loss": type(found.loss).__name__,
        "optimizer": type(found.optimizer).__name__,
        "metrics": ", ".join(found.measures) or "none",
        "the number of batches": data.steps(settings.batch_size),
        "the number of validation batches": "none" if validation is None else validation.steps(BATCH),
    }


def shapes_of(batch: Any) -> dict[str, str]:
    """The types and shapes in a batch, by name."""
    x, *rest = batch
    inputs = {f"x[{place}]": part for place, part in enumerate(x)} if isinstance(x, tuple) else {"x": x}
    parts = {**inputs, **dict(zip(("y", "sample_weight"), rest))}
    return {f"{name} of the first batch": kind(part) for name, part in parts.items()}


def _times(array: Any, weight: mx.array) -> mx.array:
    return array * weight.astype(array.dtype)
