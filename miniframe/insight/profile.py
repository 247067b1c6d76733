"""Where the time of a training goes: data, every layer forward and backward, the update, Python, waiting.

MLX computes later than it is asked to, and a compiled step is a single function, so from outside nobody sees which
layer takes how long. Under ``profile``, steps run uncompiled, and what a layer returns is computed before the next one
begins. Every moment belongs to one row of the table, so the rows sum to the whole.
"""

from __future__ import annotations

import runpy
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..core.cells import put_values, values_of
from ..core.module import Module
from ..core.node import Node
from ..data.arrays import ArrayData
from ..data.streams import StreamData
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from ..training import loop
from ..training.finite import Watch
from ..training.step import Step
from .stopwatch import BETWEEN, DATA, UPDATE, VALIDATION, WAITING, Profile


@contextmanager
def profile(
    model: Module | None = None, loss: Loss | None = None, optimizer: Optimizer | None = None, show: bool = True
) -> Iterator[Profile]:
    """``with profile():`` says where the time of the trainings inside goes.

    Every ``fit`` inside is measured. For a loop by hand, name what it uses: ``with profile(model, loss, optimizer):``.
    It holds for the thread that enters it.

    Args:
        model, loss, optimizer: what a loop by hand calls; ``fit`` needs none of them.
        show: whether to print the table at the end.

    Returns:
        The Profile, complete when the block is left.

    >>> import miniframe as mf
    >>> x, labels = mf.datasets.disk(200, seed=0)
    >>> model = mf.Sequential(mf.Linear(2, 8), mf.Tanh(), mf.Linear(8, 2))
    >>> with profile(show=False) as found:
    ...     history = model.fit(x, labels, loss="cross_entropy", optimizer="sgd", batch_size=50, verbose=0)
    >>> found.steps, list(found.titles), round(found.total / found.whole, 2)
    (4, ['0', '1', '2', 'loss'], 1.0)
    """
    found, thread = Profile(), threading.get_ident()

    def mine() -> bool:
        return threading.get_ident() == thread

    with ExitStack() as stack:
        for owner, name, around in (
            (ArrayData, "epoch", _batches),
            (StreamData, "epoch", _batches),
            (loop, "scores", _as(VALIDATION)),
            (Watch, "look", _as(WAITING)),
            (Step, "_start", _step),
        ):
            stack.enter_context(_replaced(owner, name, around(found), mine))
        if model is not None or loss is not None or optimizer is not None:
            stack.enter_context(_watched(found, model, loss, optimizer))
        try:
            yield found
        finally:
            found.stop()
    if show:
        print(found)


def profile_script(command: Sequence[str]) -> None:
    """Run a script as Python would, and print where the time of its trainings went.

    Args:
        command: its file and its arguments.

    Raises:
        OSError: without a script.
    """
    if not command:
        raise OSError("expected a script: miniframe profile script.py")
    if not Path(command[0]).is_file():
        raise OSError(f"there is no file {command[0]!r}")
    before = sys.argv[:], sys.path[:]
    sys.argv[:], sys.path[:1] = command, [str(Path(command[0]).resolve().parent)]
    try:
        with profile():
            runpy.run_path(command[0], run_name="__main__")
    finally:
        sys.argv[:], sys.path[:] = before


# -------------------------------------------------------------------- what is measured how

Around = Callable[..., Any]  # (the function, its arguments) -> its result


@contextmanager
def _replaced(owner: Any, name: str, around: Around, mine: Callable[[], bool]) -> Iterator[None]:
    """Inside, calls of this function in this thread go through ``around``."""
    function = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        return around(function, *args, **options) if mine() else function(*args, **options)

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, function)


def _as(row: str) -> Callable[[Profile], Around]:
    """The time of the whole call belongs to this row."""

    def of(found: Profile) -> Around:
        def around(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
            with found.time_of(found.rest, row):
                return function(*args, **options)

        return around

    return of


def _batches(found: Profile) -> Around:
    """The time until each batch is there, computed, belongs to the data."""

    def around(function: Callable[..., Any], *args: Any, **options: Any) -> Iterator[Any]:
        with found.time_of(found.rest, DATA):
            batches = function(*args, **options)
        try:
            while True:
                with found.time_of(found.rest, DATA):
                    try:
                        batch = next(batches)
                    except StopIteration:
                        return
                    mx.eval(_arrays(batch))
                yield batch
        finally:
            batches.close()

    return around


def _step(found: Profile) -> Around:
    """A step runs uncompiled, its layers watched."""

    def around(function: Callable[..., Any], step: Step, values: list[mx.array], batch: Any) -> Any:
        put_values(step.cells, values)
        with _watched(found, step.model, step.loss, step.optimizer):
            value, prediction = step.gradients(*batch)
            step.optimizer.apply()
        return values_of(step.cells), value, prediction if step.keep_prediction else None, {}

    return around


@contextmanager
def _watched(found: Profile, model: Module | None, loss: Loss | None, optimizer: Optimizer | None) -> Iterator[None]:
    """Inside, the layers of a model, a loss and an optimizer compute at once what they return, and are timed."""
    things: list[Any] = []
    try:
        for name, module in [] if model is None else model.named_modules():
            place = BETWEEN if module.flattens or module.composes() else name or type(module).__name__
            if place != BETWEEN:
                found.titles.setdefault(place, module.title())
            things.append(module)
            _time(found, module, "forward", found.forward, place)
            _time(found, module, "backward", found.backward, place)
        if loss is not None:
            found.titles.setdefault("loss", loss.title())
            things.append(loss)
            _time(found, loss, "forward", found.forward, "loss")
            _time(found, loss, "gradient", found.backward, "loss")
        if optimizer is not None:
            things.append(optimizer)
            _time_update(found, optimizer)
        yield
    finally:
        for thing in things:
            for name in ("forward", "backward", "gradient", "apply"):
                vars(thing).pop(name, None)


def _time(found: Profile, module: Module, name: str, part: dict[str, float], row: str) -> None:
    """Calls of this method compute what they return. What others have left to be computed does not count as its."""
    function = getattr(module, name)
    parameters = [item for _, item in module.children() if hasattr(item, "grad")]

    def timed(*args: Any) -> Any:
        with found.time_of(part, BETWEEN):
            mx.eval(_arrays(args))
        result = function(*args)
        with found.time_of(part, row):
            mx.eval(_arrays(result), [p.grad for p in parameters if p.grad is not None])
        return result

    vars(module)[name] = timed


def _time_update(found: Profile, optimizer: Optimizer) -> None:
    """The update computes the new values; each call of it is a step."""
    function = optimizer.apply

    def timed() -> None:
        found.steps += 1
        with found.time_of(found.backward, BETWEEN):
            mx.eval([p.grad for p in optimizer.parameters if p.grad is not None])
        function()
        with found.time_of(found.rest, UPDATE):
            mx.eval(values_of([*optimizer.parameters, *optimizer.cells()]))

    vars(optimizer)["apply"] = timed


def _arrays(value: Any) -> list[mx.array]:
    """The arrays in a result, or in what a method is called with."""
    if isinstance(value, mx.array):
        return [value]
    if isinstance(value, Node):
        return _arrays(value.value)
    if isinstance(value, (tuple, list)):
        return [array for item in value for array in _arrays(item)]
    return []
