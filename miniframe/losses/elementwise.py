"""Losses that compare prediction and target number by number: squared, absolute, and binary cross-entropy."""

from __future__ import annotations

import mlx.core as mx

from ..backend.exponential import sigmoid, softplus
from ..core.checks import real
from ..core.module import Module
from ..core.ranges import first_outside, of_signs, readable
from .base import Loss


class MSELoss(Loss):
    """Mean squared error: (p - t)². Derivative 2 (p - t). Prediction and target of the same shape.

    >>> loss = MSELoss()
    >>> loss(mx.array([[1.0, 2.0]]), mx.array([[0.0, 0.0]])).item(), loss.backward().tolist()
    (2.5, [[1.0, 2.0]])
    """

    samples_apart = True

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.square(prediction - target)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return 2 * (prediction - target)


class L1Loss(Loss):
    """Mean absolute error: |p - t|. Derivative sign(p - t), 0 where they are equal."""

    samples_apart = True

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.abs(prediction - target)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.sign(prediction - target)


class HuberLoss(Loss):
    """Squared near the target, absolute far away: e²/2 where |e| <= delta, else delta (|e| - delta/2), e = p - t.

    Derivative: e clipped to ±delta. Huber 1964.

    Args:
        delta: where the parabola turns into lines; 1.0 by default.
    """

    samples_apart = True

    def __init__(self, model: Module | None = None, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(model, reduction)
        real("HuberLoss", delta=delta)
        if delta <= 0:
            raise ValueError(f"HuberLoss: expected delta > 0, got {delta}")
        self.delta = delta

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        distance = mx.abs(prediction - target)
        inside = mx.minimum(distance, self.delta)
        return inside * (distance - inside / 2)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.clip(prediction - target, -self.delta, self.delta)


class _Binary(Loss):
    """What the losses for two classes share: targets are the probabilities of class 1, so they lie in 0..1."""

    samples_apart = True
    must_see = True

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        numbers = readable(target)
        if numbers is not None and (bad := first_outside(numbers, -1e-6, 1 + 1e-6)):  # mixed labels are rounded
            raise ValueError(f"{type(self).__name__}: expected targets in 0..1, got {bad}{of_signs(numbers)}")


class BCEWithLogitsLoss(_Binary):
    """Binary cross-entropy of z = logit, t in [0, 1]: log(1 + exp z) - t z. Derivative sigmoid(z) - t.

    Safe for any z: log(1 + exp z) is computed without the exponential of a large number.
    """

    threshold = 0.0

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        return softplus(prediction) - target * prediction

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return sigmoid(prediction) - target


class BCELoss(_Binary):
    """Binary cross-entropy of probabilities: -(t log p + (1 - t) log(1 - p)).

    The logarithms are cut at -100 and the derivative (p - t) / (p (1 - p)) at p (1 - p) = 1e-12, as in PyTorch,
    so that p = 0 and p = 1 stay finite. BCEWithLogitsLoss on logits is more accurate.
    """

    wants = "probabilities"

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        log_p = mx.maximum(mx.log(prediction), -100)
        log_q = mx.maximum(mx.log1p(-prediction), -100)
        return -(target * log_p + (1 - target) * log_q)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return (prediction - target) / mx.maximum(prediction * (1 - prediction), 1e-12)
