"""The training step that ``fit`` repeats: the six lines of train_step.py, compiled into one fused function.

This is the one place where the speed of small models is made; layers and optimizers stay formulas.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.arrays import as_tuple
from ..core.cells import EMPTY, put_values, values_of
from ..core.module import Module
from ..core.warn import users_line
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .fingerprint import Fingerprint
from .in_place import UpdateInPlace
from .in_turn import in_turn
from .misfits import name_misfit
from .noticing import Notebook, Trial
from .precision import PRECISIONS, as_precise, lowered


def forward_backward(
    model: Module, loss: Loss, x: Any, y: Any, sample_weight: Any = None, *, precision: str = "float32"
) -> tuple[mx.array, Any]:
    """The first lines of ``train_step``: loss and prediction of a batch; the gradients are left in the parameters.

    In another precision than float32 the model computes in that, the loss and the gradients of parameters in float32.
    """
    model.zero_grad()
    if precision == "float32":
        prediction = model(*as_tuple(x))
        value = loss(prediction, y, sample_weight)
        model.backward(loss.gradient())
        return value, prediction
    dtype = PRECISIONS[precision]
    with lowered(model, dtype):
        prediction = as_precise(model(*as_tuple(as_precise(x, dtype))), mx.float32)
        value = loss(prediction, y, sample_weight)
        model.backward(as_precise(loss.gradient(), dtype))
    return value, prediction


HEAVY, HUGE = 2**22, 2**26  # bytes of cells, from which on a step waits for the one before, and updates in place


def nothing() -> None:
    """Do nothing."""


class Step:
    """The training step that ``fit`` repeats, compiled unless asked otherwise.

    Everything a step reads or changes lives in cells: parameters, buffers, the optimizer's rate and state, and the
    random state. The step is thus a function from their values (and a batch) to their new values, which
    ``mx.compile`` fuses into few operations. All else that it uses, its settings, is frozen into the trace. They can
    change only where a user's code runs, so there ``look_first`` is set, and the next step compares the settings
    (fingerprint.py) and is traced anew if they differ. A model that looks at values, counts its calls or draws random
    numbers elsewhere (noticing.py) runs uncompiled, after one warning. A step that fails leaves the cells as they were.

    Calling it with ``(x, y)`` or ``(x, y, sample_weight)`` starts the step and returns the loss and the prediction
    (None unless ``keep_prediction``), without waiting for the arithmetic to finish.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        compile: bool = True,
        keep_prediction: bool = False,
        precision: str = "float32",
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.compile, self.keep_prediction, self.precision = compile, keep_prediction, precision
        self.before: tuple[list[mx.array], mx.array | None] = ([], None)  # values and random key before the last step
        self.made_for: list[Any] = []  # what it was chosen for; chosen_step notes it
        self.look_first = True  # look at the settings before the next step: a user's code may have run
        self.look_always = False  # ... and before every one
        self.before_change: Callable[[], None] = nothing  # called when the settings are found to have changed
        self._settings: Fingerprint | None = None
        self._passing: dict[Any, Any] = {}  # what a user's code writes down in every step does not count
        self.renew()

    # ---------------------------------------------------------------- the settings

    def look_if_due(self) -> None:
        """Look at the settings before a step, where a user's code may have run since the last one."""
        if self.look_first:
            self.look()
            self.look_first = self.look_always

    @contextmanager
    def as_it_is(self) -> Iterator[None]:
        """Steps in here are taken with the settings of the last one, whatever they are by now, if it is compiled."""
        due, self.look_first, self.look_always = (self.look_first, self.look_always), False, False
        try:
            yield
        finally:
            self.look_first, self.look_always = due

    def look(self) -> None:
        """If any setting has changed since the step was traced, forget the trace."""
        settings = self.settings_now()
        if settings != self._settings:
            if self._settings is not None:
                self.before_change()
                self.renew()
            self._settings = self.settings_now()

    def settings_now(self) -> Fingerprint:
        """All that decides how the step computes, apart from the values in its cells."""
        return Fingerprint(self.model, self.loss, self.optimizer, leave_out=self._passing)

    def renew(self) -> None:
        """Collect the cells as they are now, and have the next call trace anew."""
        self.optimizer.fit_state()
        self.cells = [*self.model.parameters(), *self.model.buffers(), *self.optimizer.cells()]
        known = {id(cell) for cell in self.cells}
        self.cells += [p for p in self.optimizer.parameters if id(p) not in known]
        self.nbytes = sum(cell.value.nbytes for cell in self.cells)
        self.optimizer.zero_grad()  # a layer that was taken out of the model would go on with its last gradient
        self.in_place = UpdateInPlace(self.optimizer) if self.nbytes > HUGE else None
        self.notebook = Notebook(self.model, self.loss)
        self._traced = False
        self._draws: bool | None = None if self.compile else True  # are random numbers drawn? None: not known yet
        self._trial: Trial | None = None
        self._compiled: Callable[..., Any] | None = self._made() if self.compile else None

    # ---------------------------------------------------------------- used again, in the next fit

    @classmethod
    def settings(cls, *arguments: Any) -> list[Any]:
        """What a step is made for: with equal ones, it can be used again, as it looks at all other settings itself."""
        place = threading.get_ident(), mx.default_device()  # MLX's streams belong to the thread that made them
        return [cls, place, *map(id, arguments)]

    @property
    def compiles(self) -> bool:
        """Whether the step is compiled: asked to be, and not found to be impossible."""
        return self.compile

    def rest(self) -> None:
        """Training is over: forget the arrays of the last step; what happens before the next one is not known."""
        self.before = ([], None)
        self.look_first, self.look_always, self.before_change = True, False, nothing

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        return None  # a copy of the model traces a step of its own

    def __reduce__(self) -> Any:
        return type(None), ()

    # ---------------------------------------------------------------- one step

    def __call__(self, *batch: Any) -> tuple[mx.array, Any]:
        self.look_if_due()
        self.optimizer.advance()
        values = values_of(self.cells)
        self.before = values, None if self._draws is False else random.get_key()
        try:
            new_values, value, prediction, written = self._start(values, batch)
            put_values(self.cells, new_values)
            self.notebook.put(written)
            mx.async_eval(new_values, value, mx.random.state if self._draws else [])
            if self.in_place is not None:
                self.in_place.look(value, new_values[len(self.cells) :])
            elif self.nbytes > HEAVY:  # else several generations of all weights would be in memory
                mx.eval(values)
        except BaseException as error:  # a step that fails has not been
            put_values(self.cells, values)
            self.optimizer.iterations -= 1
            name_misfit(error, self.model, self.loss, batch)
            raise
        if self.failed:
            put_values(self.cells, values)
        elif self.in_place is not None:  # nobody may hold the old values any more
            self.before = [], None
            del values[:], new_values[:]
            self.in_place.make()
        return value, prediction

    @property
    def failed(self) -> bool:
        """Whether the last step, in place, would have left a number that is not finite: then it has not been."""
        return self.in_place is not None and self.in_place.failed

    def _start(self, values: list[mx.array], batch: tuple[Any, ...]) -> Any:
        """Run or trace the step; whatever happens, no tracer stays behind."""
        key = self.before[1]
        try:
            if self._compiled is not None and self._draws is None:
                reason = self._first_trace(values, batch)
                if reason is not None:
                    self._give_up(reason)
            if self._compiled is None:
                return self._run(values, *batch)
            result = self._compiled(values, *batch)
            if self._traced:
                self._forget_tracers(values)
            return result
        except BaseException as error:
            self._forget_tracers(values)
            if self._compiled is None or not isinstance(error, ValueError) or "eval" not in str(error):
                raise
        if key is not None:
            random.set_state(random.as_state(key))
        self._give_up("the model's forward looks at the values of arrays")
        return self._start(values, batch)

    def _first_trace(self, values: list[mx.array], batch: tuple[Any, ...]) -> str | None:
        """See what the step does besides computing with its cells; returns why it cannot be compiled, if so.

        Only if it draws random numbers, their state is an argument of it, too.
        """
        before = random.get_state()
        assert self._settings is not None

        def trace() -> list[mx.array]:
            random.set_state(before)
            self._compiled = self._made()
            try:
                new_values, value, _, written = self._compiled(values, *batch)
            finally:
                self._forget_tracers(values)
            mx.eval(written)
            self.notebook.put(written)
            return [*new_values, value]

        self._trial = Trial(self._settings, self.settings_now) if self._settings.own_code else None
        trace()
        self._draws = random.get_state() != before
        if self._draws:
            self._compiled = self._made()
        if self._trial is not None:
            reason = self._trial.reason(trace)
            random.set_state(before)
            if reason is not None:
                return reason
            self._passing.update(self._trial.passing)
            self._settings, self._trial = self.settings_now(), None
        random.set_state(before)
        return None

    def _made(self) -> Callable[..., Any]:
        """The step as a compiled function that is still to be traced."""
        state = mx.random.state if self._draws else None
        return mx.compile(self._run, inputs=[state], outputs=[state]) if self._draws else mx.compile(self._run)

    def _give_up(self, reason: str) -> None:
        """Go on uncompiled, after one warning, and as if nothing had been tried."""
        warnings.warn(
            f"fit: the step cannot be compiled and runs slower: {reason}. compile=False says that this is intended",
            stacklevel=users_line(),
        )
        if self._trial is not None:
            self._trial.copies.restore()
            self._trial = None
        self.compile, self._compiled, self._draws = False, None, True

    def threads(self) -> AbstractContextManager[None]:
        """What an epoch of steps runs in: here nothing; for a step in parts, how many threads a product may use."""
        return nullcontext()

    def gradients(self, *batch: Any) -> tuple[mx.array, Any]:
        """Forward and backward of a batch: loss and prediction; the gradients are left in the parameters."""
        return forward_backward(self.model, self.loss, *batch, precision=self.precision)

    def _run(self, values: list[mx.array], *batch: Any) -> tuple[list[mx.array], mx.array, Any, dict[str, Any]]:
        """The pure function: old cell values and a batch in; new cell values, loss and prediction out.

        A traced step also returns the arrays that a user's code wrote into attributes.
        """
        self._traced = self._compiled is not None
        before = self.notebook.pages() if self._traced else {}
        put_values(self.cells, values)
        with in_turn(self.model) if self._traced else nullcontext():
            value, prediction = self.gradients(*batch)
        due = self.in_place.due() if self.in_place is not None else []
        if self.in_place is None:
            self.optimizer.apply()
        written = self.notebook.written(before) if self._traced else {}
        return [*values_of(self.cells), *due], value, prediction if self.keep_prediction else None, written

    def _forget_tracers(self, values: list[mx.array]) -> None:
        """After tracing, put real arrays back into the cells and clear what was left elsewhere."""
        put_values(self.cells, values)
        self.model.zero_grad()
        self.optimizer.zero_grad()
        for module in (*self.model.modules(), *self.loss.modules()):
            module.saved = EMPTY
        self._traced = False
