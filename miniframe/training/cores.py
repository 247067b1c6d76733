"""A training step on all cores of a CPU: the batch in parts, each computed by a core of its own.

On the CPU, MLX runs the operations of one stream one after the other, and only matrix products use several cores. In a
convolutional network most of the time goes into moving pixels, on a single core, and so it does with large batches of
a narrow one and in transformers: into activations, softmax and losses. So a batch is split, and each part goes forward
and backward on a stream of its own. With n_r of the n samples in part r, the gradient of the mean loss is
g = Σ_r (n_r / n) g_r, the same to rounding.

Only models are split in which no sample sees another, so that splitting cannot be noticed: random masks are drawn
for the whole batch, and every part takes its rows of them. ``MINIFRAME_CORES`` in the environment says how many cores
to use; 1 computes batches whole.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import current_thread, main_thread
from typing import Any

import mlx.core as mx

from ..backend import fast_blas, machine
from ..backend.machine import on_cpu
from ..core.arrays import is_floating
from ..core.module import Module
from ..data.batch import batch_samples
from ..layers.convolution import Conv2d, ConvTranspose2d
from ..layers.random_masks import PartsOfBatch
from ..losses.base import Loss
from .step import Step, forward_backward

SMALLEST_PART = 16  # samples in a part of images, about
HEAD_START = 8e6  # multiply-adds that the other cores do while the first starts everybody's operations and updates
MANY, FEW = 200_000, 128  # numbers that layers put out for a batch; multiply-adds for each of them (measured)
SETTING = "MINIFRAME_CORES"


def worth_splitting(model: Module, loss: Loss, x: Any = None) -> bool:
    """Whether a step of this model is the same, and faster, with the batch in parts.

    Args:
        x: the inputs of a batch, whose size decides for models without convolutions; without them, those are not split.
    """
    return can_be_split(model, loss) and (convolves(model) or moves_much(model, x))


def convolves(model: Module) -> bool:
    """Whether a model has convolutions."""
    return any(isinstance(module, (Conv2d, ConvTranspose2d)) for module in model.modules())


def moves_much(model: Module, x: Any) -> bool:
    """Whether a step on these inputs spends its time on numbers one by one, rather than on products of matrices.

    It has to put out many numbers, with few multiply-adds for each, and many more than it has weights to add up.

    >>> from miniframe import Linear
    >>> [moves_much(Linear(2, width), mx.zeros((samples, 2))) for samples, width in ((100, 64), (10_000, 64))]
    [False, True]
    """
    if not isinstance(x, mx.array) or x.ndim < 2 or x.size == 0:
        return False
    places = math.prod(x.shape[:-1]) if is_floating(x) else x.size  # samples, or the tokens of all sequences
    if places * sum(p.size for p in model.parameters()) < MANY:  # quickly said of small ones
        return False
    table = model.summary(x.shape[1:], dtype=x.dtype)
    numbers = len(x) * sum(math.prod(row.output_shape) for row in table.rows)
    return numbers >= max(MANY, 10 * table.parameters) and len(x) * table.multiply_adds < FEW * numbers


def can_be_split(model: Module, loss: Loss) -> bool:
    """Whether a step is the same with the batch in parts, and there are several cores to compute them."""
    inside = [*model.modules(), loss]
    return (
        all("samples_apart" in vars(type(module)) for module in inside)  # of subclasses nothing is known
        and all(module.samples_apart for module in inside)
        and on_cpu()
        and cores() > 1
        and current_thread() is main_thread()  # MLX's streams belong to the thread that made them
    )


def choose(model: Module, loss: Loss, compile: bool = True, x: Any = None) -> type[Step]:
    """The kind of step that ``fit`` makes in a process by itself, for batches such as these inputs.

    Without inputs, as for a stream, a step that could be split looks at its first batch.
    """
    splits = can_be_split(model, loss) if x is None else worth_splitting(model, loss, x)
    return StepInParts if compile and splits else Step


def cores() -> int:
    """How many cores this process uses: those that the system gives it, or MINIFRAME_CORES."""
    setting = os.environ.get(SETTING)
    if setting is None:
        return machine.cores()
    if not setting.isdecimal() or int(setting) < 1:
        raise ValueError(f"{SETTING}: expected a number of cores, at least 1, got {setting!r}")
    return int(setting)


@cache
def streams(count: int) -> list[mx.Stream]:
    """So many queues of operations, each of which MLX runs on a thread of its own; the default one is the first."""
    return [mx.default_stream(mx.cpu), *(mx.new_stream(mx.cpu) for _ in range(count - 1))]


class StepInParts(Step):
    """A Step that computes the parts of a batch at the same time. Arguments are those of Step."""

    work = 0  # multiply-adds of one sample of a model with convolutions; 0 before the first batch
    apart = True  # whether the model is still one that can be split
    worth: bool | None = None  # whether that pays; None before the first batch
    smallest = SMALLEST_PART  # samples in a part
    _epoch: ExitStack | None = None  # what lasts as long as ``threads``

    @classmethod
    def settings(cls, *arguments: Any) -> list[Any]:
        return [*super().settings(*arguments), cores()]

    def renew(self) -> None:
        super().renew()
        self.work, self.worth, self.apart = 0, None, can_be_split(self.model, self.loss)
        self.convolves = convolves(self.model)

    @contextmanager
    def threads(self) -> Iterator[None]:
        try:
            with ExitStack() as self._epoch:
                self._alone()
                yield
        finally:  # a step outside would enter what nobody leaves
            self._epoch = None

    def _alone(self) -> None:
        """Products get one thread while the other cores are busy with the other parts."""
        if self.worth and self._epoch is not None:
            self._epoch.enter_context(fast_blas.one_thread())

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.look_if_due()
        if self.worth is None:
            self._decide(batch[0])
        return super().__call__(*batch)

    def _decide(self, x: Any) -> None:
        """From the first batch: whether to split, how much work a sample is, and how few are worth a part."""
        self.worth = not isinstance(x, tuple) and self.apart and (self.convolves or moves_much(self.model, x))
        if self.worth and self.convolves:
            self.work = max(1, self.model.summary(x.shape[1:]).multiply_adds)
        elif self.worth:
            self.smallest = max(1, len(x) // (2 * cores()))
        self.worth = self.worth and len(self.ends(len(x))) > 2
        self._alone()

    def ends(self, samples: int) -> list[int]:
        """Where the parts of a batch begin and end; a single part for small ones.

        The first part is smaller by ``HEAD_START``, but at least half as large as the others; without convolutions,
        where little of the time goes into multiply-adds, by a tenth of the batch.
        """
        count = min(cores(), samples // self.smallest)
        if count < 2:
            return [0, samples]
        ahead = min(HEAD_START / self.work, samples / (2 * count - 1)) if self.convolves else samples / 10
        size = (samples + ahead) / count  # of every part but the first
        return [0, *(round(samples - k * size) for k in range(count - 1, -1, -1))]

    def gradients(self, *batch: Any) -> tuple[mx.array, Any]:
        """Forward and backward of the parts, then the sums of their gradients."""
        if not self.worth or isinstance(batch[0], tuple) or len(ends := self.ends(batch_samples(batch))) == 2:
            return super().gradients(*batch)
        found, queues = [], streams(len(ends) - 1)
        parts = PartsOfBatch(ends[-1], queues)
        for stream, start, stop in zip(queues, ends, ends[1:]):
            mean = self.loss.reduction == "mean"
            share = self.loss.share_of(batch[1][start:stop], batch[1]) if mean else 1.0
            with mx.stream(stream), parts.part(start, stop):
                part = [array[start:stop] for array in batch]
                value, prediction = forward_backward(self.model, self.loss, *part, precision=self.precision)
                learned = [p for p in self.optimizer.parameters if p.grad is not None]
                grads = [(share * p.grad).astype(p.grad.dtype) for p in learned if p.grad is not None]
                found.append(([share * value, *grads], prediction))
        value, *grads = [sum(shares[1:], shares[0]) for shares in zip(*(shares for shares, _ in found))]
        for parameter, grad in zip(learned, grads):
            parameter.grad = grad
        return value, mx.concatenate([prediction for _, prediction in found]) if self.keep_prediction else None
