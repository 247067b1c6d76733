"""Losses: how wrong a prediction is, as one number, and the gradient of that number with respect to the prediction.

Only the loss knows about averaging; layers never divide by the batch size. Each loss states two formulas, ``each`` (one
number per element or per sample) and ``derivative``; what is shared, reduction and weights, is in the base.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.checks import shown
from ..core.module import Module
from ..core.sums import total
from ..core.warn import warn_once

LOOKS = 3  # a loss looks at its first three predictions


class Loss(Module):
    """The base of losses: L = Σ w · each(prediction, target), with w = 1/n (mean) or 1 (sum).

    Args:
        model: linked to the loss, so that ``loss.backward()`` runs on through ``model.backward``.
        reduction: "mean" over everything that ``each`` returns, or "sum".

    Called as ``loss(prediction, target, sample_weight=None)``. A sample weight, one number for each sample,
    multiplies the sample's losses before the mean, which still divides by their count (Keras' rule).
    """

    _looks = LOOKS  # how many more predictions the guardrails look at
    wants: str = "any numbers"  # or "logits", or "probabilities": what a prediction is taken for
    must_see = False  # True where targets out of range do not make the loss NaN: then fit waits for them
    threshold = 0.5  # above it, a single-column prediction means class 1

    def __init__(self, model: Module | None = None, reduction: str = "mean") -> None:
        if model is not None and not isinstance(model, Module):
            raise TypeError(f"{type(self).__name__}: expected a model to link to, got {type(model).__name__}")
        if not isinstance(reduction, str) or reduction not in ("mean", "sum"):
            raise ValueError(f"{type(self).__name__}: unknown reduction {shown(reduction)}; known: mean, sum")
        self._model = model  # private, so that the model's parameters do not count as the loss's own
        self.reduction = reduction

    @property
    def model(self) -> Module | None:
        """The model that ``backward`` runs on through, or None."""
        return self._model

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        """The loss of every element, or of every sample."""
        raise NotImplementedError(f"{type(self).__name__} has no each: define each(self, prediction, target)")

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        """The derivative of ``each`` with respect to the prediction."""
        raise NotImplementedError(f"{type(self).__name__} has no derivative: define derivative(self, ...)")

    def terms_of(self, losses: mx.array, target: mx.array) -> Any:
        """How many losses the mean is over: all of them, unless some targets do not count."""
        return losses.size

    def weight_of(self, target: mx.array) -> Any:
        """What a batch with these targets weighs in a mean over several: its samples, unless some do not count."""
        return target.shape[0]

    def share_of(self, part: mx.array, whole: mx.array) -> Any:
        """What the mean over a part of a batch weighs in the mean over the whole, given the targets of both."""
        own, all_of_it = self.weight_of(part), self.weight_of(whole)
        return own / (mx.maximum(all_of_it, 1) if isinstance(all_of_it, mx.array) else all_of_it)

    def check(self, prediction: mx.array, target: mx.array) -> None:
        """Raise a ValueError unless the shapes fit: by default, exactly equal."""
        if prediction.shape != target.shape:
            hint = ""
            if prediction.size == target.size and prediction.shape[:1] == target.shape[:1]:
                hint = f"; use y.reshape({', '.join(map(str, (-1, *prediction.shape[1:])))})"
            elif target.ndim == 1 and prediction.ndim == 2:
                hint = f"; for class labels use one_hot(target, {prediction.shape[1]}) or CrossEntropyLoss"
            raise ValueError(
                f"{type(self).__name__}: expected a target of the prediction's shape {prediction.shape}, "
                f"got {target.shape}{hint}"
            )

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        """Raise a ValueError for targets whose values cannot be meant, where there are any: not in a compiled step."""

    def look_at(self, prediction: Any) -> None:
        """Warn of probabilities where this loss wants logits, and of logits where it wants probabilities."""
        if self.wants == "any numbers" or not isinstance(prediction, mx.array):
            return
        try:
            values = np.array(prediction.astype(mx.float32))
        except (ValueError, RuntimeError):  # inside a function transformation there are no values to look at
            return
        if self.wants == "logits":
            if values.ndim > 1 and values.shape[-1] > 1 and _are_probabilities(values):
                warn_once(self, "softmax", _SOFTMAX)
        elif values.size and not (values.min() >= 0 and values.max() <= 1):
            self.complain_of_logits(f"got values from {values.min():.3g} to {values.max():.3g}")

    def complain_of_logits(self, what_was_seen: str) -> None:
        """Warn, once, that the predictions are no probabilities."""
        warn_once(self, "logits", _LOGITS.format(what_was_seen))

    def __call__(self, prediction: Any, target: Any, sample_weight: Any = None) -> Any:
        inputs = (prediction, target) if sample_weight is None else (prediction, target, sample_weight)
        if self._looks:
            self._looks -= 1
            self.look_at(prediction)
        return super().__call__(*inputs)

    def forward(self, prediction: mx.array, target: mx.array, sample_weight: mx.array | None = None) -> mx.array:
        self.check(prediction, target)
        self.check_values(prediction, target)
        if target.size == 0:
            raise ValueError(f"{type(self).__name__}: expected at least one sample, got {prediction.shape}")
        losses = self.each(prediction, target)
        scale: Any = 1 / self.terms_of(losses, target) if self.reduction == "mean" else 1.0
        if sample_weight is not None:
            if sample_weight.shape != losses.shape[:1]:
                raise ValueError(
                    f"{type(self).__name__}: expected one sample weight for each of {losses.shape[0]} samples, "
                    f"got {sample_weight.shape}"
                )
            scale = scale * sample_weight.reshape(-1, *[1] * (losses.ndim - 1))
        self.saved = prediction, target, scale, losses.ndim
        return total(losses * scale)

    def gradient(self) -> mx.array:
        """The gradient of the last value with respect to the prediction."""
        prediction, target, scale, ndim = self.saved
        if isinstance(scale, mx.array):  # one loss per sample may stand for several prediction axes
            scale = scale.reshape(*scale.shape, *[1] * (prediction.ndim - ndim))
        return self.derivative(prediction, target) * scale

    def backward(self, grad_output: Any = None) -> Any:
        """The gradient with respect to the prediction or, linked to a model, to the model's input.

        Linked, it runs ``model.backward``, which accumulates the gradients of the parameters.
        """
        gradient = self.gradient() if grad_output is None else self.gradient() * grad_output
        return gradient if self._model is None else self._model.backward(gradient)

    def settings(self) -> str:
        return "" if self.reduction == "mean" else "sum"


def _are_probabilities(values: np.ndarray) -> bool:
    return bool(values.size and (values >= 0).all() and np.abs(values.sum(axis=-1) - 1).max(initial=0) < 1e-5)


_SOFTMAX = (
    "CrossEntropyLoss applies softmax itself, but the predictions are already probabilities: the second softmax "
    "flattens the gradients and training is slow. Remove the Softmax layer at the end of the model"
)
_LOGITS = (
    "BCELoss expects probabilities between 0 and 1, but {}. "
    "End the model with Sigmoid(), or keep it and use BCEWithLogitsLoss"
)
