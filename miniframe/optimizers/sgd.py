"""Stochastic gradient descent: the rule that the others refine."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.checks import real, switch
from .base import Optimizer
from .groups import Parameters, Schedule


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

        g ← g + weight_decay · p
        v ← momentum · v + g
        p ← p - lr · v                              (Nesterov: p ← p - lr · (g + momentum · v))

    The same as PyTorch's, plus the classical ``decay``: the rate of step t is lr / (1 + decay · t), t = 0, 1, ....

    Args:
        model: a module, an iterable of parameters, or groups of them; see :class:`Optimizer`.
        lr: learning rate, a number or a schedule.
        momentum: between 0 and 1; 0 by default.
        decay: how fast the rate falls; 0 by default.
        nesterov: look ahead by one momentum step (Nesterov 1983; Sutskever et al. 2013).
        weight_decay: pull of the parameters towards 0.
        options: clip_value, clip_norm, accumulate, maximize; see :class:`Optimizer`.

    Raises:
        ValueError: for a momentum outside 0..1, a negative decay, or Nesterov without momentum.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 1)
    >>> optimizer = SGD(layer, lr=0.1, momentum=0.9)
    >>> before = layer.bias.value.item()
    >>> y = layer(mx.zeros((1, 2)))
    >>> dx = layer.backward(mx.ones((1, 1)))
    >>> optimizer.step()
    >>> round(before - layer.bias.value.item(), 6)
    0.1
    """

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule,
        momentum: float = 0.0,
        decay: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        real("SGD", momentum=momentum)
        switch("SGD", nesterov=nesterov)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: expected 0 <= momentum < 1, got {momentum}")
        if nesterov and momentum == 0:
            raise ValueError("SGD: Nesterov looks ahead along the momentum: expected momentum > 0, got 0")
        self.momentum, self.nesterov = momentum, nesterov
        super().__init__(model, lr, decay=decay, weight_decay=weight_decay, **options)

    def new_state(self, value: mx.array) -> list[mx.array]:
        return [mx.zeros_like(value)] if self.momentum else []

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        if not state:
            return (value - lr * grad,)
        (velocity,) = state
        velocity = self.momentum * velocity + grad
        step = grad + self.momentum * velocity if self.nesterov else velocity
        return value - lr * step, velocity
