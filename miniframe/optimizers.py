"""Optimizers: how a gradient changes a parameter. Each states its rule as a function of (gradient, value, state)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import mlx.core as mx

from .module import Buffer, Module, Parameter

Schedule = Callable[[int], float]


class Optimizer:
    """The base of optimizers: the parameters, their state arrays, the learning rate and the count of steps.

    Args:
        model: a module, or an iterable of parameters.
        lr: the learning rate: a number, or a schedule, any function from the number of steps taken to a number.

    A subclass says how many state arrays a parameter has (``slots``) and how one step changes them (``update``).
    A step has two halves: ``advance`` counts it and sets the rate (plain Python), ``apply`` changes the arrays; a
    compiled training step contains only the second.
    """

    slots = 0

    def __init__(self, model: Module | Iterable[Parameter], lr: float | Schedule) -> None:
        self.parameters = list(model.parameters() if isinstance(model, Module) else model)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__}: expected parameters to optimize, got none")
        for parameter in self.parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{type(self).__name__}: expected parameters, got {type(parameter).__name__}")
        self.state = [[Buffer(mx.zeros_like(p.value)) for _ in range(self.slots)] for p in self.parameters]
        self.iterations = 0
        self.rate = Buffer(0.0)
        self._rate_array = 0.0, self.rate.value  # kept, so that a constant rate is made an array once
        self.lr = lr

    # ---------------------------------------------------------------- the learning rate

    @property
    def lr(self) -> float:
        """The learning rate of the next step, before ``decay``. Assign a number or a schedule at any time."""
        return self._lr(self.iterations) if callable(self._lr) else self._lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        if not callable(lr):
            lr = float(lr)
            if not lr >= 0:
                raise ValueError(f"{type(self).__name__}: expected a learning rate >= 0, got {lr}")
        self._lr = lr

    def current_rate(self) -> float:
        """The rate that the next step uses."""
        return self.lr

    # ---------------------------------------------------------------- a step

    def update(self, grad: mx.array, value: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        """The rule: the new value and the new state arrays, from the gradient and the old ones."""
        raise NotImplementedError(f"{type(self).__name__} has no update: define update(self, grad, value, *state)")

    def advance(self) -> None:
        """Count a step and set the rate it uses."""
        rate = self.current_rate()
        if rate != self._rate_array[0]:
            self._rate_array = rate, mx.array(rate, dtype=mx.float32)
        self.rate.value = self._rate_array[1]
        self.iterations += 1

    def apply(self) -> None:
        """Change every parameter that has a gradient, and its state."""
        for parameter, slots in zip(self.parameters, self.state):
            if parameter.grad is None or not parameter.trainable:
                continue
            value, *state = self.update(parameter.grad, parameter.value, *[slot.value for slot in slots])
            parameter.value = value
            for slot, array in zip(slots, state):
                slot.value = array

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        if all(parameter.grad is None for parameter in self.parameters):
            raise RuntimeError(f"{type(self).__name__}: no parameter has a gradient; call backward before step")
        self.advance()
        self.apply()
        for parameter in self.parameters:
            parameter.used_by = self

    def zero_grad(self) -> None:
        """Forget the gradients of the parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def cells(self) -> Iterator[Buffer]:
        """Everything, besides the parameters, that a step reads or writes."""
        yield self.rate
        for slots in self.state:
            yield from slots

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters)} parameters, lr={self.lr:g})"


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

        g ← g + weight_decay · p
        v ← momentum · v + g
        p ← p - lr · v                              (Nesterov: p ← p - lr · (g + momentum · v))

    The same as PyTorch's, plus the classical ``decay``: the rate of step t is lr / (1 + decay · t), t = 0, 1, ....

    Args:
        model: a module, or an iterable of parameters.
        lr: learning rate, a number or a schedule.
        momentum: between 0 and 1; 0 by default.
        decay: how fast the rate falls; 0 by default.
        nesterov: look ahead by one momentum step (Nesterov 1983; Sutskever et al. 2013).
        weight_decay: pull of the parameters towards 0.

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
        model: Module | Iterable[Parameter],
        lr: float | Schedule,
        momentum: float = 0.0,
        decay: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 <= momentum < 1 or decay < 0 or weight_decay < 0:
            raise ValueError(
                "SGD: expected 0 <= momentum < 1, decay >= 0 and weight_decay >= 0, "
                f"got momentum={momentum}, decay={decay}, weight_decay={weight_decay}"
            )
        if nesterov and momentum == 0:
            raise ValueError("SGD: Nesterov looks ahead along the momentum: expected momentum > 0, got 0")
        self.momentum, self.decay, self.nesterov, self.weight_decay = momentum, decay, nesterov, weight_decay
        self.slots = 1 if momentum else 0
        super().__init__(model, lr)

    def current_rate(self) -> float:
        return self.lr / (1 + self.decay * self.iterations)

    def update(self, grad: mx.array, value: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        lr = self.rate.value
        if self.weight_decay:
            grad = grad + self.weight_decay * value
        if not self.momentum:
            return (value - lr * grad,)
        velocity = self.momentum * state[0] + grad
        step = grad + self.momentum * velocity if self.nesterov else velocity
        return value - lr * step, velocity


NAMES: dict[str, type[Optimizer]] = {"sgd": SGD}


def get(optimizer: Any, model: Module) -> Optimizer:
    """An optimizer from itself or from its name, with lr=0.01."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer in NAMES:
        return NAMES[optimizer](model, lr=0.01)
    raise ValueError(
        f"unknown optimizer {optimizer!r}; known: {', '.join(NAMES)}, or an Optimizer such as SGD(model, lr=0.1)"
    )
