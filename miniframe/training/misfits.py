"""A backward that returns what cannot be a gradient, named where MLX would only complain about shapes."""

from __future__ import annotations

from typing import Any

from ..checking.complaints import unfit
from ..core.module import Module
from ..core.untouched import untouched
from ..graph.passes import Pass
from ..losses.base import Loss


def name_misfit(error: BaseException, model: Module, loss: Loss, batch: tuple[Any, ...]) -> None:
    """If MLX refused the shapes of a step, say in its error whose backward they come from, where that can be found.

    If it refused to add to None, say how gradients are added.
    """
    if isinstance(error, TypeError) and "NoneType" in str(error):
        hint = "a gradient is None before the first backward: write self.weight.accumulate(grad)"
        error.args = (f"{error}; {hint}",)
    if isinstance(error, ValueError) and str(error).startswith("["):
        words = misfit(model, loss, batch)
        if words:
            error.args = (words,)


def misfit(model: Module, loss: Loss, batch: tuple[Any, ...]) -> str:
    """Run a batch forward and, one layer at a time, backward; the first gradient that does not fit, in words."""
    x, *rest = batch
    try:
        with untouched(model, loss):
            seen = Pass(model, x, "fit")
            loss(seen.output, *rest)
            for step in seen.backward(loss.gradient()):
                module, inputs = step.node.module, [node.value for node in step.node.inputs]
                assert module is not None
                names = ["its input"] if len(inputs) == 1 else [f"its input {place}" for place in range(len(inputs))]
                words = unfit(step.grad_inputs, inputs, names.__getitem__)
                if words:
                    return f"{seen.title(step.name)}: {words}"
    except Exception:  # whatever else is wrong, the error at hand says it
        return ""
    return ""
