"""Losses for classes: the target is one class out of several, as a number or as a probability for each."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..backend.exponential import exp
from ..core.arrays import is_floating
from ..core.checks import real, shown
from ..core.module import Module
from ..core.ranges import first_outside, of_signs, readable, wide
from .base import Loss


class _ClassLoss(Loss):
    """What CrossEntropyLoss and NLLLoss share: targets that are class numbers or probabilities, classes last.

    A class number out of range is a ValueError; inside a compiled step, where it cannot be seen, it gives NaN.
    """

    def check(self, prediction: mx.array, target: mx.array) -> None:
        if prediction.ndim < 2:
            raise self.wrong("a prediction (batch, classes)", prediction)
        name, is_column = type(self).__name__, target.shape == (*prediction.shape[:-1], 1)
        column = "y.reshape(-1)" if target.ndim == 2 else "y.squeeze(-1)"
        if is_floating(target):
            is_column = is_column and prediction.shape[-1] > 1
            if target.shape == prediction.shape[:-1] or is_column:
                dtype = str(target.dtype).split(".")[-1]
                raise ValueError(
                    f"{name}: expected class numbers as integers, got {dtype} of shape {target.shape}; "
                    f"use {column if is_column else 'y'}.astype(int), in MLX astype(mx.int32)"
                )
            super().check(prediction, target)
        elif target.shape != prediction.shape[:-1]:
            raise ValueError(
                f"{name}: expected integer targets of shape {prediction.shape[:-1]} for predictions "
                f"{prediction.shape}, got {target.shape}{f'; use {column}' if is_column else ''}"
            )

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        last = prediction.shape[-1] - 1
        labels = None if is_floating(target) else readable(target)
        if labels is not None and (bad := first_outside(labels, 0, last)):
            hint, span = "", (labels.min(), labels.max())
            if last == 0:
                hint = "; for a single output take BCEWithLogitsLoss, or end the model with one output for each class"
            elif span == (1, last + 1):
                hint = "; classes count from 0: use y - 1"
            elif last == 1:
                hint = of_signs(labels)
            raise ValueError(f"{type(self).__name__}: expected class labels in 0..{last}, got {bad}{hint}")

    def probabilities(self, prediction: mx.array, target: mx.array) -> mx.array:
        """The target as one probability for each class; NaN for a number that is no class, so that nothing hides it."""
        if is_floating(target):
            return target
        classes = prediction.shape[-1]
        label = wide(target)[..., None]
        exists = (label >= 0) & (label < classes)
        return mx.where(exists, label == mx.arange(classes), math.nan).astype(prediction.dtype)


class CrossEntropyLoss(_ClassLoss):
    """Softmax and cross-entropy in one, from logits z: -Σ q log softmax(z) = Σ q (logsumexp z - z).

    Derivative: softmax(z) Σq - q, the shortest in all of deep learning. One loss per sample.

    Args:
        label_smoothing: s replaces the target q by (1 - s) q + s / classes; 0 by default.
        ignore_index: a number that stands for "no target here", such as -100, behind the end of shorter sequences.
            There q = 0, so loss and gradient are 0, and the mean is over the other targets; 0 if there are none.

    Shapes: logits (N, ..., classes); targets (N, ...) integers, or (N, ..., classes) probabilities.

    >>> loss = CrossEntropyLoss()
    >>> round(loss(mx.zeros((1, 4)), mx.array([2])).item(), 4), loss.backward().tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25]])
    >>> loss = CrossEntropyLoss(ignore_index=-1)
    >>> round(loss(mx.zeros((2, 4)), mx.array([2, -1])).item(), 4), loss.backward().tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25], [0.0, 0.0, 0.0, 0.0]])
    """

    samples_apart = True
    wants = "logits"

    def __init__(
        self,
        model: Module | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(model, reduction)
        real("CrossEntropyLoss", label_smoothing=label_smoothing)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: expected label_smoothing in [0, 1], got {label_smoothing}")
        if ignore_index is not None and (not isinstance(ignore_index, int) or isinstance(ignore_index, bool)):
            raise TypeError(f"CrossEntropyLoss: expected a whole number for ignore_index, got {shown(ignore_index)}")
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index

    def settings(self) -> str:
        ignored = "" if self.ignore_index is None else f"ignore_index={self.ignore_index}"
        return ", ".join(filter(None, (super().settings(), ignored)))

    def counts(self, target: mx.array) -> mx.array | None:
        """Where the targets count, as bools; None if all do."""
        return None if self.ignore_index is None or is_floating(target) else wide(target) != self.ignore_index

    def terms_of(self, losses: mx.array, target: mx.array) -> Any:
        counts = self.counts(target)
        return losses.size if counts is None else mx.maximum(counts.sum(), 1).astype(losses.dtype)

    def weight_of(self, target: mx.array) -> Any:
        counts = self.counts(target)
        return super().weight_of(target) if counts is None else counts.sum()

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        counts = self.counts(target)
        super().check_values(prediction, target if counts is None else mx.where(counts, target, 0))

    def probabilities(self, prediction: mx.array, target: mx.array) -> mx.array:
        s, counts = self.label_smoothing, self.counts(target)
        q = super().probabilities(prediction, target if counts is None else mx.where(counts, target, 0))
        q = q if s == 0 else (1 - s) * q + s / prediction.shape[-1]
        return q if counts is None else mx.where(counts[..., None], q, 0)

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        q = self.probabilities(prediction, target)
        z, _, total = _exponentials(prediction)
        log_p = z - mx.log(total)
        return -mx.where(q == 0, 0, q * log_p).sum(axis=-1)  # a logit of -inf, "impossible", may meet q = 0

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        q, counts = self.probabilities(prediction, target), self.counts(target)
        _, powers, total = _exponentials(prediction)
        mass: Any = q.sum(axis=-1, keepdims=True) if is_floating(target) else 1
        gradient = powers / total * mass - q
        return gradient if counts is None else mx.where(counts[..., None], gradient, 0)


def _exponentials(logits: mx.array) -> tuple[mx.array, mx.array, mx.array]:
    """(z, e^z, Σ e^z) of the logits, moved so that the largest is 0 and nothing overflows.

    Loss and derivative both begin like this, so that a compiled step computes the exponentials once.
    """
    z = logits - logits.max(axis=-1, keepdims=True)
    powers = exp(z)
    return z, powers, powers.sum(axis=-1, keepdims=True)


class NLLLoss(_ClassLoss):
    """Negative log-likelihood of log-probabilities, as LogSoftmax gives them: -Σ q log p. Derivative -q."""

    samples_apart = True

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        q = self.probabilities(prediction, target)
        return -mx.where(q == 0, 0, q * prediction).sum(axis=-1)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return -self.probabilities(prediction, target)
