"""One training step: the six lines that every epoch repeats, and the same step compiled into one fused function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mlx.core as mx

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
        self._traced = False
        self._compiled: Callable[..., Any] | None = None
        if compile:
            self._compiled = mx.compile(self._run, inputs=[mx.random.state], outputs=[mx.random.state])

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.optimizer.advance()
        values = [cell._value for cell in self.cells]
        if self._compiled is None:
            new_values, value, prediction = self._run(values, *batch)
        else:
            try:
                new_values, value, prediction = self._compiled(values, *batch)
            except ValueError as error:
                self._restore(values)
                if "eval" not in str(error):
                    raise
                warnings.warn(
                    "fit: the model's forward looks at the values of arrays, so the step cannot be compiled and runs "
                    "slower; compile=False says that this is intended",
                    stacklevel=4,
                )
                self._compiled = None
                new_values, value, prediction = self._run(values, *batch)
            except BaseException:
                self._restore(values)
                raise
            if self._traced:
                self._restore(new_values)
        for cell, new in zip(self.cells, new_values):
            cell._value = new
        mx.async_eval(new_values, value, mx.random.state)
        return value, prediction

    def _run(self, values: list[mx.array], *batch: Any) -> tuple[list[mx.array], mx.array, Any]:
        """The pure function: old cell values and a batch in, new cell values, loss and prediction out."""
        self._traced = self._compiled is not None
        for cell, value in zip(self.cells, values):
            cell._value = value
        value, prediction = forward_backward(self.model, self.loss, *batch)
        self.optimizer.apply()
        return [cell._value for cell in self.cells], value, prediction if self.keep_prediction else None

    def _restore(self, values: list[mx.array]) -> None:
        """After tracing, put real arrays back into the cells and forget the tracers that were left elsewhere."""
        for cell, value in zip(self.cells, values):
            cell._value = value
        self.model.zero_grad()
        self.optimizer.zero_grad()
        for module in (*self.model.modules(), *self.loss.modules()):
            module._saved = EMPTY
        self._traced = False
