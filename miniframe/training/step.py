"""One training step: the six lines that every epoch repeats, and the same step compiled into one fused function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.core as mx

from .. import random
from ..losses import Loss
from ..module import EMPTY, Module
from ..optimizers import Optimizer

Inputs = Any  # one array, or a tuple of arrays for a model with several inputs


def train_step(
    model: Module, loss: Loss, optimizer: Optimizer, x: Inputs, y: Any, sample_weight: Any = None
) -> mx.array:
    """The course in six lines: forget the gradients, forward, loss, backward, step, return.

    Args:
        model, loss, optimizer: what is trained; the loss need not be linked to the model.
        x: a batch of inputs; a tuple for a model with several.
        y: the targets.
        sample_weight: (N,) factors of the samples' losses; optional.

    Returns:
        The loss of the batch, before the step. Gradients stay in ``parameter.grad``.

    >>> import miniframe as mf
    >>> model = mf.Linear(1, 1)
    >>> loss, optimizer = mf.MSELoss(), mf.SGD(model, lr=0.1)
    >>> x, y = mx.array([[1.0]]), mx.array([[2.0]])
    >>> first = mf.train_step(model, loss, optimizer, x, y)
    >>> bool(mf.train_step(model, loss, optimizer, x, y) < first)
    True
    """
    value, _ = forward_backward(model, loss, x, y, sample_weight)
    optimizer.step()
    return value


def forward_backward(model: Module, loss: Loss, x: Inputs, y: Any, sample_weight: Any = None) -> tuple[mx.array, Any]:
    """The loss and the prediction of a batch, leaving the gradients in the parameters."""
    model.zero_grad()
    prediction = model(*x) if isinstance(x, tuple) else model(x)
    value = loss(prediction, y, sample_weight)
    model.backward(loss.gradient())
    return value, prediction


class Step:
    """The training step that ``fit`` repeats, compiled unless asked otherwise.

    Everything a step reads or changes lives in cells: parameters, buffers, the optimizer's rate and state, and the
    random state. The step is thus a function from their values (and a batch) to their new values, which
    ``mx.compile`` fuses into few operations. A model whose forward looks at values (``if h.mean().item() > 0``)
    cannot be traced; it runs uncompiled, after one warning.

    Calling it with ``(x, y)`` or ``(x, y, sample_weight)`` starts the step and returns the loss and the prediction
    (None unless ``keep_prediction``), without waiting for the arithmetic to finish.
    """

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, compile: bool = True, keep_prediction: bool = False
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.keep_prediction = keep_prediction
        self.cells = [*model.parameters(), *model.buffers(), *optimizer.cells()]
        known = {id(cell) for cell in self.cells}
        self.cells += [p for p in optimizer.parameters if id(p) not in known]
        self.before: tuple[list[mx.array], mx.array | None] = ([], None)  # values and random key before the last step
        self.last_batch: tuple[Any, ...] | None = None  # the whole one, as fit was given it
        self._traced = False
        self._compiled: Callable[..., Any] | None = mx.compile(self._run) if compile else None
        self._draws: bool | None = None if compile else True  # does a step draw random numbers? None: not known yet

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.optimizer.advance()
        values = [cell._value for cell in self.cells]
        self.before = values, None if self._draws is False else random.get_key()
        new_values, value, prediction = self._start(values, batch)
        for cell, new in zip(self.cells, new_values):
            cell._value = new
        if self._draws:
            mx.async_eval(new_values, value, mx.random.state)
        else:
            mx.async_eval(new_values, value)
        return value, prediction

    def _start(self, values: list[mx.array], batch: tuple[Any, ...]) -> Any:
        """Run or trace the step; whatever happens, no tracer stays behind."""
        if self._compiled is None:
            return self._run(values, *batch)
        try:
            if self._draws is None:
                self._find_out_about_random(values, batch)
            result = self._compiled(values, *batch)
            if self._traced:
                self._forget_tracers(values)
            return result
        except ValueError as error:
            self._forget_tracers(values)
            if "eval" not in str(error):
                raise
            warnings.warn(
                "fit: the model's forward looks at the values of arrays, so the step cannot be compiled and runs "
                "slower; compile=False says that this is intended",
                stacklevel=5,
            )
            self._compiled, self._draws = None, True
            return self._run(values, *batch)
        except BaseException:
            self._forget_tracers(values)
            raise

    def _find_out_about_random(self, values: list[mx.array], batch: tuple[Any, ...]) -> None:
        """Trace once to see whether the step draws random numbers: only then is their state an argument of it."""
        before = random.get_state()
        assert self._compiled is not None
        self._compiled(values, *batch)
        self._draws = random.get_state() != before
        if self._draws:
            random.set_state(before)
            self._compiled = mx.compile(self._run, inputs=[mx.random.state], outputs=[mx.random.state])

    def threads(self) -> AbstractContextManager[None]:
        """What an epoch of steps runs in: here nothing; for a step in parts, how many threads a product may use."""
        return nullcontext()

    def gradients(self, *batch: Any) -> tuple[mx.array, Any]:
        """Forward and backward of a batch: loss and prediction; the gradients are left in the parameters."""
        return forward_backward(self.model, self.loss, *batch)

    def _run(self, values: list[mx.array], *batch: Any) -> tuple[list[mx.array], mx.array, Any]:
        """The pure function: old cell values and a batch in, new cell values, loss and prediction out."""
        self._traced = self._compiled is not None
        for cell, value in zip(self.cells, values):
            cell._value = value
        value, prediction = self.gradients(*batch)
        self.optimizer.apply()
        return [cell._value for cell in self.cells], value, prediction if self.keep_prediction else None

    def _forget_tracers(self, values: list[mx.array]) -> None:
        """After tracing, put real arrays back into the cells and clear what was left elsewhere."""
        for cell, value in zip(self.cells, values):
            cell._value = value
        self.model.zero_grad()
        self.optimizer.zero_grad()
        for module in (*self.model.modules(), *self.loss.modules()):
            module._saved = EMPTY
        self._traced = False
