"""What all optimizers share: groups, learning rates, clipping, accumulation, and the two halves of a step.

A step has two halves: ``advance`` counts it and sets the rates (plain Python), ``apply`` changes the arrays; a
compiled training step contains only the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from ..core.cells import Buffer
from ..core.checks import is_real, shown, switch, whole
from ..core.sums import total
from ..core.warn import warn_once
from .groups import Group, Parameters, Scalar, Schedule, at_least_0, explain_arguments, make_groups


class Optimizer:
    """The base of optimizers.

    Args:
        model: a module, an iterable of parameters, or of dicts {"params": a module or parameters, "lr": ...,
            "weight_decay": ...}, groups whose own settings replace those below.
        lr: the learning rate: a number, or a schedule, any function from the number of steps taken to a number.
        decay: lowers the rate of step t = 0, 1, ... to lr / (1 + decay · t).
        weight_decay: pull of the parameters towards 0: adds weight_decay · p to the gradient.
        clip_value: limits every element of the gradients to -clip_value..clip_value.
        clip_norm: scales the gradients down so that the norm of all of them together is at most clip_norm.
        accumulate: how many calls of ``step`` make one step, with the mean of their gradients: the memory of a
            small batch, the gradient of a large one. Learning rates and ``decay`` count only the steps taken.
        maximize: go up instead of down: the rule is given -g (weight decay still pulls towards 0, as in PyTorch).

    A subclass says what state a parameter has (``new_state``) and how one step changes it (``update``). Parameters
    without a gradient and frozen ones are left alone.

    >>> from miniframe import Adam, Linear, Sequential
    >>> model = Sequential(Linear(2, 3), Linear(3, 1))
    >>> Adam([{"params": model[0], "lr": 1e-4}, {"params": model[1]}], lr=1e-2, clip_norm=1.0)
    Adam(4 parameters, lr=0.0001 and 0.01)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        explain_arguments(cls)

    def __init__(
        self,
        model: Parameters,
        lr: float | Schedule,
        *,
        decay: float = 0.0,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        maximize: bool = False,
    ) -> None:
        name = type(self).__name__
        at_least_0(name, decay=decay, weight_decay=weight_decay)
        switch(name, maximize=maximize)
        if clip_value is not None and clip_norm is not None:
            raise ValueError(f"{name}: expected clip_value or clip_norm, got both")
        for limit in (clip_value, clip_norm):
            if limit is not None and not (is_real(limit) and limit > 0):
                raise ValueError(f"{name}: expected a clipping limit > 0, got {shown(limit)}")
        whole(name, accumulate=accumulate)
        self.decay, self.weight_decay, self.maximize = decay, weight_decay, maximize
        self.clip_value, self.clip_norm, self.accumulate = clip_value, clip_norm, accumulate
        self.groups = make_groups(model, lr, weight_decay, name)
        self.parameters = [parameter for group in self.groups for parameter in group.parameters]
        self._group_of = [group for group in self.groups for _ in group.parameters]
        self.state: list[list[Buffer]] = [[] for _ in self.parameters]
        self.totals: list[Buffer] = []
        self.due, self.iterations = Scalar(1.0), 0
        self.fit_state()

    # ---------------------------------------------------------------- the rule, which a subclass gives

    def new_state(self, value: mx.array) -> list[mx.array]:
        """The state arrays of a parameter before the first step; none by default."""
        return []

    def update(self, grad: mx.array, value: mx.array, lr: mx.array, *state: mx.array) -> tuple[mx.array, ...]:
        """The rule: the new value and the new state arrays, from the gradient and the old ones."""
        raise NotImplementedError(f"{type(self).__name__} has no update: define update(self, grad, value, lr, *state)")

    def fit_state(self) -> None:
        """Give every parameter the state that the settings need by now: a momentum that was 0 needs its velocity."""
        for slots, parameter in zip(self.state, self.parameters):
            slots += [Buffer(array) for array in self.new_state(parameter.value)[len(slots) :]]
        if self.accumulate > 1 and not self.totals:
            self.totals = [Buffer(mx.zeros_like(p.value)) for p in self.parameters]

    def scalars(self) -> Iterator[Scalar]:
        """The cells that ``advance`` sets."""
        yield from (group.rate for group in self.groups)
        if self.accumulate > 1:
            yield self.due

    @property
    def steps_taken(self) -> int:
        """How often the parameters were changed: ``iterations``, the calls of ``step``, over ``accumulate``."""
        return self.iterations // self.accumulate

    @property
    def lr(self) -> float:
        """The learning rate of the next step, before ``decay``; with several groups, the first one's.

        Assign a number or a schedule at any time, for all groups; ``optimizer.groups[1].lr = ...`` is for one.
        """
        return self.groups[0].lr_at(self.steps_taken)

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        for group in self.groups:
            group.lr = lr

    # ---------------------------------------------------------------- a step

    def advance(self) -> None:
        """Count a step and set what depends on the count: the rates, and whether accumulated gradients are due."""
        step = self.steps_taken
        for group in self.groups:
            group.rate.set(group.lr_at(step) / (1 + self.decay * step))
        self.iterations += 1
        self.due.set(float(self.iterations % self.accumulate == 0))

    def apply(self) -> None:
        """Change every parameter that has a gradient, and its state."""
        for place, grad in self.due_gradients():
            for cell, new in zip(self.cells_of(place), self.moved(place, grad)):
                cell.value = new

    def due_gradients(self) -> list[tuple[int, mx.array]]:
        """The parameters that are to move, by their places, and their gradients, accumulated and clipped."""
        moving = [i for i, p in enumerate(self.parameters) if p.grad is not None and p.trainable]
        return list(zip(moving, self._clipped(self._accumulated(moving))))

    def cells_of(self, place: int) -> list[Buffer]:
        """A parameter, and what is remembered of its steps."""
        return [self.parameters[place], *self.state[place]]

    def moved(self, place: int, grad: mx.array) -> list[mx.array]:
        """The values that a parameter and its state get from a gradient."""
        group = self._group_of[place]
        old = [cell.value for cell in self.cells_of(place)]
        grad, value = self.pull(-grad if self.maximize else grad, old[0], group)
        new = self.update(grad, value, group.rate.value, *old[1:])
        moved = [after.astype(before.dtype) for before, after in zip(old, new)]
        if self.accumulate == 1:
            return moved
        return [mx.where(self.due.value > 0, after, before) for before, after in zip(old, moved)]

    def pull(self, grad: mx.array, value: mx.array, group: Group) -> tuple[mx.array, mx.array]:
        """Weight decay, as gradient and value before the rule: that of the penalty weight_decay / 2 · ‖p‖²."""
        return (grad + group.weight_decay * value, value) if group.weight_decay else (grad, value)

    def _accumulated(self, moving: list[int]) -> list[mx.array]:
        """The gradients, or the means over the calls since the last step taken."""
        grads: list[Any] = [self.parameters[i].grad for i in moving]
        if self.accumulate == 1:
            return grads
        means = []
        for i, grad in zip(moving, grads):
            mean = self.totals[i].value + grad / self.accumulate
            means.append(mean)
            self.totals[i].value = mx.where(self.due.value > 0, mx.zeros_like(mean), mean)
        return means

    def _clipped(self, grads: list[mx.array]) -> list[mx.array]:
        """The gradients within clip_value or clip_norm."""
        if self.clip_value is not None:
            return [mx.clip(grad, -self.clip_value, self.clip_value) for grad in grads]
        if self.clip_norm is None or not grads:
            return grads
        norm = mx.sqrt(sum((total(mx.square(grad)) for grad in grads[1:]), total(mx.square(grads[0]))))
        scale = mx.minimum(self.clip_norm / (norm + 1e-6), 1.0)
        return [grad * scale for grad in grads]

    def step(self) -> None:
        """One update of all parameters from their gradients."""
        if all(parameter.grad is None for parameter in self.parameters):
            raise RuntimeError(f"{type(self).__name__}: no parameter has a gradient; call backward before step")
        self.fit_state()
        self.advance()
        self.apply()
        for parameter in self.parameters:
            parameter.used_by = self

    def zero_grad(self) -> None:
        """Forget the gradients of the parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def gradients_not_zeroed(self) -> None:
        """Warn, once, that a backward added to gradients that a step had already used."""
        warn_once(self, "zero_grad", _NOT_ZEROED)

    def cells(self) -> Iterator[Buffer]:
        """Everything, besides the parameters, that a step reads or writes."""
        yield from self.scalars()
        yield from self.totals
        for slots in self.state:
            yield from slots

    def __repr__(self) -> str:
        rates = " and ".join(f"{group.lr_at(self.steps_taken):g}" for group in self.groups)
        return f"{type(self).__name__}({len(self.parameters)} parameters, lr={rates})"


_NOT_ZEROED = (
    "backward added to gradients that optimizer.step() has already used, so every step repeats all earlier ones. "
    "Call model.zero_grad() before each backward"
)
