"""The loss of a variational autoencoder: how well it paints, and how far its codes are from N(0, 1)."""

from __future__ import annotations

import mlx.core as mx

from ..backend.exponential import sigmoid, softplus
from ..core.checks import whole
from ..core.module import Module
from .base import Loss


class ELBOLoss(Loss):
    """Binary cross-entropy of the pixels plus the divergence of the codes, for a prediction [logits z, μ, l = log σ²]:

        Σ (log(1 + exp z) - t z)  +  Σ (μ² + exp l - l - 1) / 2

    Derivatives: sigmoid(z) - t for the logits, μ for the means, (exp l - 1) / 2 for the log-variances. It is minus the
    evidence lower bound of Kingma and Welling 2014: minimising it maximises a bound of the pictures' likelihood.
    One loss per sample.

    Args:
        code: how many means there are, and log-variances, D.

    Shapes: prediction (N, F + 2 D), target (N, F), from 0 to 1.

    >>> loss = ELBOLoss(code=1)
    >>> round(loss(mx.array([[0.0, 1.0, 0.0]]), mx.array([[1.0]])).item(), 4), loss.backward().tolist()
    (1.1931, [[-0.5, 1.0, 0.0]])
    """

    samples_apart = True

    def __init__(self, model: Module | None = None, reduction: str = "mean", code: int = 8) -> None:
        super().__init__(model, reduction)
        whole("ELBOLoss", code=code)
        self.code = code

    def settings(self) -> str:
        return ", ".join(filter(None, (super().settings(), f"code of {self.code}")))

    def check(self, prediction: mx.array, target: mx.array) -> None:
        expected = (*target.shape[:-1], target.shape[-1] + 2 * self.code) if target.ndim else ()
        if prediction.ndim != 2 or prediction.shape != expected:
            raise ValueError(
                f"ELBOLoss: expected a prediction [logits, means, log-variances] of shape {expected} for a target "
                f"{target.shape} and a code of {self.code}, got {prediction.shape}"
            )

    def parts(self, prediction: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """Logits, means and log-variances."""
        logits, mean, log_variance = mx.split(prediction, [-2 * self.code, -self.code], axis=-1)
        return logits, mean, log_variance

    def each(self, prediction: mx.array, target: mx.array) -> mx.array:
        z, mean, log_variance = self.parts(prediction)
        pixels = softplus(z) - target * z
        divergence = (mx.square(mean) + mx.exp(log_variance) - log_variance - 1) / 2
        return pixels.sum(axis=-1) + divergence.sum(axis=-1)

    def derivative(self, prediction: mx.array, target: mx.array) -> mx.array:
        z, mean, log_variance = self.parts(prediction)
        return mx.concatenate([sigmoid(z) - target, mean, (mx.exp(log_variance) - 1) / 2], axis=-1)
