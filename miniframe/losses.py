"""Losses: how wrong a prediction is, as one number, and the gradient of that number with respect to the prediction.

Only the loss knows about averaging; layers never divide by the batch size. Each loss states two formulas, ``each`` (one
number per element or per sample) and ``derivative``; what is shared, reduction and weights, is in the base.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .arrays import is_floating
from .guardrails import LOOKS, look_at_prediction
from .module import Module


class Loss(Module):
    """The base of losses: L = Σ w · each(prediction, target), with w = 1/n (mean) or 1 (sum).

    Args:
        model: linked to the loss, so that ``loss.backward()`` runs on through ``model.backward``.
        reduction: "mean" over everything that ``each`` returns, or "sum".

    Called as ``loss(prediction, target, sample_weight=None)``. A sample weight, one number for each sample,
    multiplies the sample's losses before the mean, which still divides by their count (Keras' rule).
    """

    _looks = LOOKS  # how many more predictions the guardrails look at
    threshold = 0.5  # above it, a single-column prediction means class 1

    def __init__(self, model: Module | None = None, reduction: str = "mean") -> None:
        if model is not None and not isinstance(model, Module):
            raise TypeError(f"{type(self).__name__}: expected a model to link to, got {type(model).__name__}")
        if reduction not in ("mean", "sum"):
            raise ValueError(f"{type(self).__name__}: unknown reduction {reduction!r}; known: mean, sum")
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

    def check(self, prediction: mx.array, target: mx.array) -> None:
        """Raise a ValueError unless the shapes fit: by default, exactly equal."""
        if prediction.shape != target.shape:
            hint = ""
            if prediction.size == target.size:
                hint = f"; reshape one of them, such as target.reshape{prediction.shape}"
            elif target.ndim == 1 and prediction.ndim == 2:
                hint = f"; for class labels use one_hot(target, {prediction.shape[1]}) or CrossEntropyLoss"
            raise ValueError(
                f"{type(self).__name__}: expected a target of the prediction's shape {prediction.shape}, "
                f"got {target.shape}{hint}"
            )

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        """Raise a ValueError for targets whose values cannot be meant; fit asks once, as it has to wait for them."""

    def __call__(self, prediction: Any, target: Any, sample_weight: Any = None) -> Any:
        inputs = (prediction, target) if sample_weight is None else (prediction, target, sample_weight)
        if self._looks:
            self._looks -= 1
            look_at_prediction(self, prediction)
        return super().__call__(*inputs)

    def forward(self, prediction: mx.array, target: mx.array, sample_weight: mx.array | None = None) -> mx.array:
        self.check(prediction, target)
        losses = self.each(prediction, target)
        if losses.size == 0:
            raise ValueError(f"{type(self).__name__}: expected at least one sample, got {prediction.shape}")
        scale: Any = 1 / losses.size if self.reduction == "mean" else 1.0
        if sample_weight is not None:
            if sample_weight.shape != losses.shape[:1]:
                raise ValueError(
                    f"{type(self).__name__}: expected one sample weight for each of {losses.shape[0]} samples, "
                    f"got {sample_weight.shape}"
                )
            scale = scale * sample_weight.reshape(-1, *[1] * (losses.ndim - 1))
        self.saved = prediction, target, scale, losses.ndim
        return (losses * scale).sum()

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


class MSELoss(Loss):
    """Mean squared error: (p - t)². Derivative 2 (p - t). Prediction and target of the same shape.

    >>> loss = MSELoss()
    >>> loss(mx.array([[1.0, 2.0]]), mx.array([[0.0, 0.0]])).item(), loss.backward().tolist()
    (2.5, [[1.0, 2.0]])
    """

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.square(prediction - target)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return 2 * (prediction - target)


class L1Loss(Loss):
    """Mean absolute error: |p - t|. Derivative sign(p - t), 0 where they are equal."""

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

    def __init__(self, model: Module | None = None, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(model, reduction)
        if delta <= 0:
            raise ValueError(f"HuberLoss: expected delta > 0, got {delta}")
        self.delta = delta

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        distance = mx.abs(prediction - target)
        inside = mx.minimum(distance, self.delta)
        return inside * (distance - inside / 2)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.clip(prediction - target, -self.delta, self.delta)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of z = logit, t in [0, 1]: log(1 + exp z) - t z. Derivative sigmoid(z) - t.

    Safe for any z: log(1 + exp z) is computed without the exponential of a large number.
    """

    threshold = 0.0

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.logaddexp(prediction, 0) - target * prediction

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return mx.sigmoid(prediction) - target


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: -(t log p + (1 - t) log(1 - p)).

    The logarithms are cut at -100 and the derivative (p - t) / (p (1 - p)) at p (1 - p) = 1e-12, as in PyTorch,
    so that p = 0 and p = 1 stay finite. BCEWithLogitsLoss on logits is more accurate.
    """

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        log_p = mx.maximum(mx.log(prediction), -100)
        log_q = mx.maximum(mx.log1p(-prediction), -100)
        return -(target * log_p + (1 - target) * log_q)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return (prediction - target) / mx.maximum(prediction * (1 - prediction), 1e-12)


class _ClassLoss(Loss):
    """What CrossEntropyLoss and NLLLoss share: targets that are class numbers or probabilities, classes last."""

    def check(self, prediction: mx.array, target: mx.array) -> None:
        if prediction.ndim < 2:
            raise self.wrong("a prediction (batch, classes)", prediction)
        if is_floating(target):
            super().check(prediction, target)
        elif target.shape != prediction.shape[:-1]:
            raise ValueError(
                f"{type(self).__name__}: expected integer targets of shape {prediction.shape[:-1]} for predictions "
                f"{prediction.shape}, got {target.shape}"
            )

    def check_values(self, prediction: mx.array, target: mx.array) -> None:
        if not is_floating(target) and target.size:
            low, high = int(target.min()), int(target.max())
            if low < 0 or high >= prediction.shape[-1]:
                raise ValueError(
                    f"{type(self).__name__}: expected class labels in 0..{prediction.shape[-1] - 1}, got {low}..{high}"
                )

    def probabilities(self, prediction: mx.array, target: mx.array) -> mx.array:
        """The target as one probability for each class."""
        if is_floating(target):
            return target
        return (target[..., None] == mx.arange(prediction.shape[-1])).astype(prediction.dtype)


class CrossEntropyLoss(_ClassLoss):
    """Softmax and cross-entropy in one, from logits z: -Σ q log softmax(z) = Σ q (logsumexp z - z).

    Derivative: softmax(z) Σq - q, the shortest in all of deep learning. One loss per sample.

    Args:
        label_smoothing: s replaces the target q by (1 - s) q + s / classes; 0 by default.

    Shapes: logits (N, ..., classes); targets (N, ...) integers, or (N, ..., classes) probabilities.

    >>> loss = CrossEntropyLoss()
    >>> round(loss(mx.zeros((1, 4)), mx.array([2])).item(), 4), loss.backward().tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25]])
    """

    def __init__(self, model: Module | None = None, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        super().__init__(model, reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss: expected label_smoothing in [0, 1], got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def probabilities(self, prediction: mx.array, target: mx.array) -> mx.array:
        s = self.label_smoothing
        q = super().probabilities(prediction, target)
        return q if s == 0 else (1 - s) * q + s / prediction.shape[-1]

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        q = self.probabilities(prediction, target)
        log_p = prediction - mx.logsumexp(prediction, axis=-1, keepdims=True)
        return -mx.where(q == 0, 0, q * log_p).sum(axis=-1)  # a logit of -inf, "impossible", may meet q = 0

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        q = self.probabilities(prediction, target)
        total = q.sum(axis=-1, keepdims=True) if is_floating(target) else 1
        return mx.softmax(prediction, axis=-1) * total - q


class NLLLoss(_ClassLoss):
    """Negative log-likelihood of log-probabilities, as LogSoftmax gives them: -Σ q log p. Derivative -q."""

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        q = self.probabilities(prediction, target)
        return -mx.where(q == 0, 0, q * prediction).sum(axis=-1)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        return -self.probabilities(prediction, target)


NAMES: dict[str, type[Loss]] = {
    "mse": MSELoss,
    "l1": L1Loss,
    "mae": L1Loss,
    "huber": HuberLoss,
    "cross_entropy": CrossEntropyLoss,
    "bce_with_logits": BCEWithLogitsLoss,
    "bce": BCELoss,
    "nll": NLLLoss,
}


def get(loss: Any) -> Loss:
    """A loss from its name, its class or itself.

    >>> get("mse")
    MSELoss()
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if isinstance(loss, str) and loss in NAMES:
        return NAMES[loss]()
    raise ValueError(f"unknown loss {loss!r}; known: {', '.join(NAMES)}, or a Loss such as MSELoss()")
