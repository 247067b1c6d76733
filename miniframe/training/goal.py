"""What a training makes small, by whom, and what it measures: said once with ``compile``, or each time to ``fit``."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import losses, optimizers
from ..core.module import Module
from ..core.teach import teach
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from . import metrics as metric_names
from .metrics import Metric


def compile(
    model: Module, optimizer: Optimizer | str, loss: Loss | str, metrics: Sequence[str | Metric] = ()
) -> Module:
    """Say once how the model is trained, as in Keras; then ``fit(x, y)`` and ``evaluate(x, y)`` need neither.

    What ``fit`` is told still goes first. A file of the model does not hold these words: after ``load``, compile again.
    Compiling again begins anew: an optimizer given by its name has forgotten its moments.

    Args:
        optimizer, loss, metrics: as for ``fit``.

    Returns:
        The model.

    >>> from miniframe import Linear
    >>> model = Linear(2, 1).compile(optimizer="adam", loss="mse", metrics=["mae"])
    >>> history = model.fit([[0.0, 1.0], [1.0, 0.0]], [[1.0], [0.0]], verbose=0)
    >>> list(history.history), list(model.evaluate([[0.0, 1.0]], [[1.0]]))
    (['loss', 'mae'], ['loss', 'mae'])
    """
    found = losses.get(loss)
    metric_names.get(metrics, found.threshold)
    made = optimizers.get(optimizer, model)
    model._optimizer = (optimizer, None) if isinstance(optimizer, str) else (None, made)
    model._evaluation = found, metric_names.as_list(metrics)
    return model


@dataclass(frozen=True)
class Goal:
    """What a training makes small, by whom, and what it measures.

    Attributes:
        name: of the optimizer, where it was given by its name.
        metrics: as they were given, in a list; ``measures`` are their functions, by name.
    """

    loss: Loss
    optimizer: Optimizer
    name: str | None
    metrics: list[Any]
    measures: dict[str, Metric]

    def remember(self, model: Module) -> None:
        """Let the next ``fit`` and ``evaluate`` of the model, if they are told nothing else, have the same."""
        model._evaluation = self.loss, self.metrics
        model._optimizer = self.name, self.optimizer


def goal(model: Module, loss: Any, optimizer: Any, metrics: Any) -> Goal:
    """What was said now or, left out, the last time. Nothing is changed."""
    last_loss, last_metrics = model._evaluation
    if loss is None and last_loss is None:
        raise ValueError('fit: expected a loss, such as fit(x, y, loss="mse", optimizer="adam"), or compile first')
    if metrics is None:
        metrics = last_metrics if loss is None else ()
    metrics = metric_names.as_list(metrics)
    loss = losses.get(last_loss if loss is None else loss, again=last_loss)
    measures = metric_names.get(metrics, loss.threshold)
    name, made = _optimizer(model, optimizer)
    return Goal(loss, made, name, metrics, measures)


def _optimizer(model: Module, wanted: Any) -> tuple[str | None, Optimizer]:
    """Name and optimizer; one that was made from the same name for the same parameters goes on with what it knows."""
    name, last = model._optimizer
    if wanted is None:
        wanted = last if name is None else name
    if wanted is None:
        raise ValueError(
            'fit: expected an optimizer, such as fit(x, y, loss="mse", optimizer="adam"), or compile first'
        )
    same = last is not None and list(map(id, last.parameters)) == list(map(id, model.parameters()))
    made: Optimizer = last if same and isinstance(wanted, str) and wanted == name else optimizers.get(wanted, model)
    if not {id(p) for p in made.parameters} & {id(p) for p in model.parameters()}:
        raise ValueError("fit: the optimizer holds none of the model's parameters; make it from this model")
    return wanted if isinstance(wanted, str) else None, made


def with_remedy(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb, saying what to write instead of an argument that it does not know."""
    known = inspect.signature(verb).parameters
    in_order = [name for name, argument in known.items() if argument.kind is argument.POSITIONAL_OR_KEYWORD]
    places, last = len(in_order), in_order[-1]

    @functools.wraps(verb)
    def careful(*given: Any, **options: Any) -> Any:
        if len(given) > places:
            raise TypeError(f"{verb.__name__}: after {last}, arguments are written with their names: batch_size=32")
        for name in options:
            if name in known:
                continue
            if name in ("learning_rate", "lr"):
                raise TypeError(
                    f"{verb.__name__}: {name} belongs to the optimizer; write optimizer=Adam(model, lr=0.001)"
                )
            if name == "verbose":
                raise TypeError(f"{verb.__name__}: unknown argument 'verbose'; it prints nothing, so leave it out")
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; see help(model.{verb.__name__})"
            raise TypeError(f"{verb.__name__}: unknown argument {name!r}{hint}")
        return verb(*given, **options)

    return careful


# _optimizer: the name that the optimizer was made from, or None, and the optimizer of the last fit
teach(Module, with_remedy(compile), _optimizer=(None, None))
