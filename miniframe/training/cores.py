"""A training step on all cores of a CPU: the batch in parts, each computed by a core of its own.

On the CPU, MLX runs the operations of one stream one after the other, and only matrix products use several cores. In a
convolutional network most of the time goes into moving pixels, on a single core. So a batch is split, and each part
goes forward and backward on a stream of its own. With n_r of the n samples in part r, the gradient of the mean loss is
g = Σ_r (n_r / n) g_r, the same to rounding.

Only models are split in which no sample sees another, and which draw no random numbers, so that splitting cannot be
noticed. ``MINIFRAME_CORES`` in the environment says how many cores to use; 1 computes batches whole.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from threading import current_thread, main_thread
from typing import Any

import mlx.core as mx

from ..backend import fast_blas
from ..core.module import Module
from ..data.batch import batch_samples
from ..layers.convolution import Conv2d, ConvTranspose2d
from ..losses.base import Loss
from .step import Step, forward_backward

SMALLEST_PART = 16  # samples in a part, about
HEAD_START = 8e6  # multiply-adds that the other cores do while the first starts everybody's operations and updates
SETTING = "MINIFRAME_CORES"


def worth_splitting(model: Module, loss: Loss) -> bool:
    """Whether a step of this model is the same, and faster, with the batch in parts.

    >>> from miniframe import Conv2d, Linear, MSELoss, Sequential
    >>> worth_splitting(Sequential(Linear(2, 3)), MSELoss())
    False
    """
    inside = [*model.modules(), loss]
    return (
        any(isinstance(module, (Conv2d, ConvTranspose2d)) for module in inside)
        and all(vars(type(module)).get("samples_apart", False) for module in inside)  # of subclasses nothing is known
        and mx.default_device() == mx.Device(mx.cpu)
        and cores() > 1
        and current_thread() is main_thread()  # MLX's streams belong to the thread that made them
    )


def choose(model: Module, loss: Loss, compile: bool = True) -> type[Step]:
    """The kind of step that ``fit`` makes in a process by itself."""
    return StepInParts if compile and worth_splitting(model, loss) else Step


def cores() -> int:
    """How many cores this process uses: those that the system gives it, or MINIFRAME_CORES."""
    setting = os.environ.get(SETTING)
    if setting is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not setting.isdecimal() or int(setting) < 1:
        raise ValueError(f"{SETTING}: expected a number of cores, at least 1, got {setting!r}")
    return int(setting)


@cache
def streams(count: int) -> list[mx.Stream]:
    """So many queues of operations, each of which MLX runs on a thread of its own; the default one is the first."""
    return [mx.default_stream(mx.cpu), *(mx.new_stream(mx.cpu) for _ in range(count - 1))]


class StepInParts(Step):
    """A Step that computes the parts of a batch at the same time. Arguments are those of Step."""

    work = 0  # multiply-adds of one sample; 0 before the first batch
    apart = True  # whether the model is still one that can be split

    @classmethod
    def settings(cls, *arguments: Any) -> list[Any]:
        return [*super().settings(*arguments), cores()]

    def renew(self) -> None:
        super().renew()
        self.work, self.apart = 0, worth_splitting(self.model, self.loss)

    def threads(self) -> AbstractContextManager[None]:
        return fast_blas.one_thread()  # the other cores are busy with the other parts

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.look_if_due()
        if not self.work and not isinstance(batch[0], tuple):
            self.work = max(1, self.model.summary(batch[0].shape[1:]).multiply_adds)
        return super().__call__(*batch)

    def ends(self, samples: int) -> list[int]:
        """Where the parts of a batch begin and end; a single part for small ones.

        The first part is smaller by ``HEAD_START``, but at least half as large as the others.
        """
        count = min(cores(), samples // SMALLEST_PART)
        if count < 2:
            return [0, samples]
        ahead = min(HEAD_START / self.work, samples / (2 * count - 1))
        size = (samples + ahead) / count  # of every part but the first
        return [0, *(round(samples - k * size) for k in range(count - 1, -1, -1))]

    def gradients(self, *batch: Any) -> tuple[mx.array, Any]:
        """Forward and backward of the parts, then the sums of their gradients."""
        samples = batch_samples(batch)
        ends = self.ends(samples)
        if len(ends) == 2 or not self.apart or isinstance(batch[0], tuple):
            return super().gradients(*batch)
        found = []
        for stream, start, stop in zip(streams(len(ends) - 1), ends, ends[1:]):
            mean = self.loss.reduction == "mean"
            share = self.loss.share_of(batch[1][start:stop], batch[1]) if mean else 1.0
            with mx.stream(stream):
                value, prediction = forward_backward(self.model, self.loss, *(array[start:stop] for array in batch))
                learned = [p for p in self.optimizer.parameters if p.grad is not None]
                grads = [(share * p.grad).astype(p.grad.dtype) for p in learned if p.grad is not None]
                found.append(([share * value, *grads], prediction))
        value, *grads = [sum(shares[1:], shares[0]) for shares in zip(*(shares for shares, _ in found))]
        for parameter, grad in zip(learned, grads):
            parameter.grad = grad
        return value, mx.concatenate([prediction for _, prediction in found]) if self.keep_prediction else None
