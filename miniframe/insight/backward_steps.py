"""backward_steps: backpropagation one layer at a time, each step with its formula and all that goes in and out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array, as_tuple
from ..core.module import Module
from ..core.words import shape_text
from ..graph.passes import Pass
from ..losses import get as get_loss
from ..losses.base import Loss

SHOWN = 12  # numbers: an array with at most this many is printed in full


@dataclass
class BackwardStep:
    """One layer's part of a backward.

    Attributes:
        name: the layer's path in the model; "loss" for the first step.
        module: the layer, or the loss.
        formula: its derivative, as its documentation and the comments in its backward state it.
        value: the output of its forward.
        grad_output: the gradient that came in; 1 for the loss.
        grad_inputs: the gradients that it passes on, one for each input.
        parameter_grads: what it adds to the gradient of each of its parameters.
    """

    name: str
    module: Module
    formula: str
    value: Any
    grad_output: Any
    grad_inputs: tuple[Any, ...]
    parameter_grads: dict[str, mx.array] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The source of the layer's backward, that is, of what this step did."""
        function = type(self.module).derivative if isinstance(self.module, Loss) else type(self.module).backward
        try:
            return inspect.cleandoc("\n" + inspect.getsource(function))
        except (OSError, TypeError):
            return "(the source is not at hand)"

    def __repr__(self) -> str:
        title = self.module.title()
        lines = [f"{self.name}: {title}", *(f"    {line}" for line in self.formula.splitlines())]
        lines.append(f"    gradient in   {_shown(self.grad_output)}")
        for grad in self.grad_inputs:
            lines.append(f"    gradient out  {'none' if grad is None else _shown(grad)}")
        width = max((len(name) for name in self.parameter_grads), default=0)
        lines += [f"    {name:<{width}}  gradient {_shown(grad)}" for name, grad in self.parameter_grads.items()]
        return "\n".join(lines)


def backward_steps(model: Module, loss: Loss | str, x: Any, y: Any) -> Iterator[BackwardStep]:
    """Run a model and its loss forward, then give out backward one layer at a time, from the loss to the input.

    The gradients in the model's parameters are forgotten first and fill up step by step; after the last step they
    are what ``loss.backward()`` would have left.

    Args:
        model: a Sequential, a Graph, a custom module or a single layer.
        loss: a Loss, which need not be linked to the model, or its name.
        x: a batch of inputs; a tuple for a model with several.
        y: the targets.

    >>> from miniframe import Linear, MSELoss, ReLU, Sequential
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> [step.name for step in backward_steps(model, MSELoss(), mx.ones((5, 2)), mx.zeros((5, 1)))]
    ['loss', '2', '1', '0']
    """
    loss = get_loss(loss)
    model.zero_grad()
    seen = Pass(model, x, "backward_steps")
    value = loss(seen.output, as_array(y, where="backward_steps"))
    gradient = loss.gradient()
    yield BackwardStep("loss", loss, formula(loss), value, mx.array(1.0), as_tuple(gradient))
    for step in seen.backward(gradient):
        node, module = step.node, step.node.module
        assert module is not None
        yield BackwardStep(
            step.name, module, formula(module), node.value, node.grad, step.grad_inputs, step.parameter_grads
        )


def formula(module: Module) -> str:
    """The derivative of a layer in words of mathematics, from the comments in its backward or from its docstring.

    >>> from miniframe import Linear, Tanh
    >>> print(formula(Tanh()))
    dx = dy (1 - y²)
    >>> print(formula(Linear(2, 3)))
    dW = dYᵀ X and db = Σ dY, over all samples
    dX = dY W
    """
    found = [comment[match.start() :] for comment in _comments(module) if (match := _DERIVATIVE.search(comment))]
    if found:
        return "\n".join(found)
    text = inspect.getdoc(type(module)) or type(module).__name__
    for line in text.split(">>>")[0].splitlines():
        if match := _DERIVATIVE.search(line):
            return line[match.start() :].split(". ")[0].rstrip(".").strip()
    return text.splitlines()[0]


_DERIVATIVE = re.compile(r"\bd\w+ = |Derivative:? ")


def _comments(module: Module) -> list[str]:
    try:
        source = inspect.getsource(type(module).backward)
    except (OSError, TypeError):
        return []
    return re.findall(r"^\s*# (.*)$", source, flags=re.MULTILINE)


def _shown(array: Any) -> str:
    """The shape, and the numbers where there are few."""
    if isinstance(array, tuple):
        return ", ".join(_shown(part) for part in array)
    if not isinstance(array, mx.array):
        return str(array)
    if array.size > SHOWN:
        return f"{shape_text(array)}, mean |grad| {mx.abs(array).mean().item():.4g}"
    numbers = re.sub(r"-?\d+\.?\d*(e-?\d+)?", lambda match: f"{float(match.group()):.4g}", str(array.tolist()))
    return f"{shape_text(array)} {numbers}" if array.ndim else numbers
