"""The training step that ``fit`` repeats: the six lines of train_step.py, compiled into one fused function.

This is the one place where the speed of small models is made; layers and optimizers stay formulas.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.arrays import as_tuple
from ..core.cells import EMPTY, put_values, values_of
from ..core.module import Module
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .fingerprint import Fingerprint


def forward_backward(model: Module, loss: Loss, x: Any, y: Any, sample_weight: Any = None) -> tuple[mx.array, Any]:
    """The first lines of ``train_step``: loss and prediction of a batch; the gradients are left in the parameters."""
    model.zero_grad()
    prediction = model(*as_tuple(x))
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
        self.traced_with: list[Any] = []  # its settings when it was made; chosen_step notes them
        self._traced = False
        self._compiled: Callable[..., Any] | None = mx.compile(self._run) if compile else None
        self._draws: bool | None = None if compile else True  # does a step draw random numbers? None: not known yet

    # ---------------------------------------------------------------- used again, in the next fit

    @classmethod
    def settings(cls, *arguments: Any) -> list[Any]:
        """All that a step made with these arguments depends on: with equal settings, one can take another's place."""
        place = threading.get_ident(), mx.default_device()  # MLX's streams belong to the thread that made them
        return [cls, place, Fingerprint(*arguments)]

    @property
    def compiles(self) -> bool:
        """Whether the step is compiled: asked to be, and not found to be impossible."""
        return self._compiled is not None

    def rest(self) -> None:
        """Training is over: forget the arrays of the last step."""
        self.before = ([], None)

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None  # a copy of the model traces a step of its own

    def __reduce__(self) -> Any:
        return type(None), ()

    # ---------------------------------------------------------------- one step

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.optimizer.advance()
        values = values_of(self.cells)
        self.before = values, None if self._draws is False else random.get_key()
        new_values, value, prediction = self._start(values, batch)
        put_values(self.cells, new_values)
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
        put_values(self.cells, values)
        value, prediction = self.gradients(*batch)
        self.optimizer.apply()
        return values_of(self.cells), value, prediction if self.keep_prediction else None

    def _forget_tracers(self, values: list[mx.array]) -> None:
        """After tracing, put real arrays back into the cells and clear what was left elsewhere."""
        put_values(self.cells, values)
        self.model.zero_grad()
        self.optimizer.zero_grad()
        for module in (*self.model.modules(), *self.loss.modules()):
            module.saved = EMPTY
        self._traced = False
