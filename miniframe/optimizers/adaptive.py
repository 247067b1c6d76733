"""Optimizers that give every weight a rate of its own, from the size of its past gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from ..core.checks import is_real, real, shown, switch
from .base import Optimizer
from .groups import Group, Parameters, Scalar, Schedule, at_least_0


class Adagrad(Optimizer):
    """Rates that fall with the sum of all squared gradients so far (Duchi, Hazan and Singer, 2011).

        s ← s + g²
        p ← p - lr · g / (√s + eps)

    Args:
        model: a module, an iterable of parameters, or groups of them; see :class:`Optimizer`.
        lr: learning rate, a number or a schedule.
        eps: keeps the division safe.
        initial_accumulator_value: s before the first step.
        options: decay (PyTorch's lr_decay), weight_decay, clip_value, clip_norm, accumulate, maximize; see
            :class:`Optimizer`.

    >>> from miniframe import Linear
    >>> Adagrad(Linear(2, 1), lr=0.1)
    Adagrad(2 parameters, lr=0.1)
    """

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule = 0.01,
        eps: float = 1e-10,
        initial_accumulator_value: float = 0.0,
        **options: Any,
    ) -> None:
        at_least_0("Adagrad", eps=eps, initial_accumulator_value=initial_accumulator_value)
        self.eps, self.initial_accumulator_value = eps, initial_accumulator_value
        super().__init__(model, lr, **options)

    def new_state(self, value: mx.array) -> list[mx.array]:
        return [mx.full(value.shape, self.initial_accumulator_value, dtype=value.dtype)]

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        (squares,) = state
        squares = squares + mx.square(grad)
        return value - lr * (grad / (mx.sqrt(squares) + self.eps)), squares


class RMSprop(Optimizer):
    """Rates that follow a running mean of the squared gradients (Hinton, 2012).

        s ← alpha · s + (1 - alpha) · g²
        u = g / (√s + eps)                          (centered: √(s - m²), with m a running mean of g)
        p ← p - lr · u                              (with momentum: b ← momentum · b + u;  p ← p - lr · b)

    Args:
        model: a module, an iterable of parameters, or groups of them; see :class:`Optimizer`.
        lr: learning rate, a number or a schedule.
        alpha: how slowly the means follow, between 0 and 1.
        eps: keeps the division safe.
        momentum: 0 by default.
        centered: divide by the standard deviation of the gradients instead (Graves, 2013).
        options: decay, weight_decay, clip_value, clip_norm, accumulate, maximize; see :class:`Optimizer`.

    >>> from miniframe import Linear
    >>> RMSprop(Linear(2, 1), lr=0.01, momentum=0.9)
    RMSprop(2 parameters, lr=0.01)
    """

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Any,
    ) -> None:
        at_least_0("RMSprop", eps=eps)
        real("RMSprop", alpha=alpha, momentum=momentum)
        switch("RMSprop", centered=centered)
        if not 0 <= alpha < 1 or not 0 <= momentum < 1:
            raise ValueError(f"RMSprop: expected alpha and momentum in 0..1 (without 1), got {alpha} and {momentum}")
        self.alpha, self.eps, self.momentum, self.centered = alpha, eps, momentum, centered
        self.kept = ["squares"]  # the names of a parameter's state, in the order in which the settings asked for it
        super().__init__(model, lr, **options)

    def new_state(self, value: mx.array) -> list[mx.array]:
        asked = {"mean": self.centered, "velocity": self.momentum > 0}
        self.kept += [name for name, needed in asked.items() if needed and name not in self.kept]
        return [mx.zeros_like(value) for _ in self.kept]

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        kept = dict(zip(self.kept, state))
        scale = kept["squares"] = self.alpha * kept["squares"] + (1 - self.alpha) * mx.square(grad)
        if self.centered:
            mean = kept["mean"] = kept["mean"] + (1 - self.alpha) * (grad - kept["mean"])
            scale = mx.maximum(scale - mx.square(mean), 0)  # rounding could leave it below 0
        step = grad / (mx.sqrt(scale) + self.eps)
        if self.momentum:
            step = kept["velocity"] = self.momentum * kept["velocity"] + step
        return value - lr * step, *kept.values()


class Adam(Optimizer):
    """Running means of the gradient and of its square, corrected for starting at 0 (Kingma and Ba, 2015).

        m ← β₁ · m + (1 - β₁) · g
        s ← β₂ · s + (1 - β₂) · g²
        p ← p - lr · m̂ / (√ŝ + eps)                 with m̂ = m / (1 - β₁ᵗ) and ŝ = s / (1 - β₂ᵗ) in step t = 1, 2, ...

    With amsgrad, ŝ is made from the largest s so far (Reddi, Kale and Kumar, 2018). The t of all parameters is the
    optimizer's: for a part that is frozen at first and learns later, make a new optimizer.

    Args:
        model: a module, an iterable of parameters, or groups of them; see :class:`Optimizer`.
        lr: learning rate, a number or a schedule.
        betas: (β₁, β₂), how slowly the two means follow.
        eps: keeps the division safe.
        amsgrad: whether steps may only shrink.
        options: decay, weight_decay, clip_value, clip_norm, accumulate, maximize; see :class:`Optimizer`.

    >>> from miniframe import Linear
    >>> Adam(Linear(2, 1))
    Adam(2 parameters, lr=0.001)
    """

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        at_least_0(name, eps=eps)
        switch(name, amsgrad=amsgrad)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(is_real(b) and 0 <= b < 1 for b in betas):
            raise ValueError(f"{name}: expected two betas in 0..1 (without 1), got {shown(betas)}")
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad
        self.correction, self.root_correction = Scalar(1.0), Scalar(1.0)
        super().__init__(model, lr, **options)

    def new_state(self, value: mx.array) -> list[mx.array]:
        return [mx.zeros_like(value) for _ in range(3 if self.amsgrad else 2)]

    def scalars(self) -> Iterator[Scalar]:
        yield from super().scalars()
        yield self.correction
        yield self.root_correction

    def advance(self) -> None:
        t = self.steps_taken + 1
        super().advance()
        self.correction.set(1 - self.betas[0] ** t)
        self.root_correction.set((1 - self.betas[1] ** t) ** 0.5)

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        beta1, beta2 = self.betas
        mean, squares, *largest = state
        mean = beta1 * mean + (1 - beta1) * grad
        squares = beta2 * squares + (1 - beta2) * mx.square(grad)
        largest = [mx.maximum(old, squares) for old in largest]
        root = mx.sqrt(largest[0] if self.amsgrad else squares) / self.root_correction.value
        step = (mean / self.correction.value) / (root + self.eps)
        return value - lr * step, mean, squares, *largest


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters directly, not through the means (Loshchilov and Hutter, 2019).

        p ← p - lr · weight_decay · p
        then as Adam

    Args:
        model, lr, betas, eps, amsgrad: as for :class:`Adam`.
        weight_decay: 0.01 by default.
        options: decay, clip_value, clip_norm, accumulate, maximize; see :class:`Optimizer`.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 1)
    >>> AdamW([{"params": [layer.weight]}, {"params": [layer.bias], "weight_decay": 0.0}])
    AdamW(2 parameters, lr=0.001 and 0.001)
    """

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(model, lr, betas, eps, amsgrad, weight_decay=weight_decay, **options)

    def pull(self, grad: mx.array, value: mx.array, group: Group) -> tuple[mx.array, mx.array]:
        return grad, value * (1 - group.rate.value * group.weight_decay)
