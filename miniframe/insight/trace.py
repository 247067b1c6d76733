"""trace: one pass through a model with everything that happened in it written down, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array
from ..core.module import Module
from ..core.tables import html_table, table
from ..core.untouched import untouched
from ..core.words import shape_text
from ..graph.passes import Pass
from ..losses import get as get_loss
from ..losses.base import Loss


@dataclass
class LayerTrace:
    """One layer call.

    Attributes:
        name: the layer's path in the model, such as "encoder.0".
        module: the layer itself.
        inputs: the arrays it was called on.
        output: what it returned.
        grad_output: the gradient with respect to the output; None without a loss.
        grad_inputs: the gradients that it passed on, one for each input; empty without a loss.
        parameter_grads: what this call added to the gradient of each of the layer's parameters.
    """

    name: str
    module: Module
    inputs: tuple[Any, ...]
    output: Any
    grad_output: Any = None
    grad_inputs: tuple[Any, ...] = ()
    parameter_grads: dict[str, mx.array] = field(default_factory=dict)


@dataclass
class Trace:
    """What :func:`trace` found: index it by name or position, iterate over its layers, or print it as a table.

    Attributes:
        layers: one LayerTrace for each layer call, in order.
        output: of the model.
        loss: its value; None without a loss.
        grad_inputs: the gradients with respect to the model's inputs; empty without a loss.
    """

    layers: list[LayerTrace]
    output: Any
    loss: mx.array | None = None
    grad_inputs: tuple[Any, ...] = ()

    def __getitem__(self, name: str | int) -> LayerTrace:
        if isinstance(name, int) and -len(self.layers) <= name < len(self.layers):
            return self.layers[name]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"trace: no layer {name!r}; it has {', '.join(layer.name for layer in self.layers)}")

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def _lines(self) -> list[tuple[str, ...]]:
        head = ("name", "layer", "output", "mean |value|", "mean |grad|")
        rows = [
            (t.name, t.module.title(), shape_text(t.output), _size(t.output), _size(t.grad_output)) for t in self.layers
        ]
        return [head, *rows]

    def _words(self) -> list[str]:
        return [] if self.loss is None else [f"loss {self.loss.item():.6g}"]

    def __repr__(self) -> str:
        first, *lines = table(self._lines())
        return "\n".join([first, "-" * len(first), *lines, *self._words()])

    def _repr_html_(self) -> str:
        return html_table(self._lines(), title="trace", words=self._words())


def trace(model: Module, x: Any, loss: Loss | str | None = None, target: Any = None) -> Trace:
    """Run a model once, and its backward if there is a loss, and return what every layer got and gave.

    The model is left as it was: its gradients, running statistics, the random state, and what it had saved. It runs
    in the mode it is in; ``model.eval()`` first traces what ``predict`` does.

    Args:
        model: a Sequential, a Graph, a custom module or a single layer.
        x: a batch of inputs; a tuple for a model with several.
        loss, target: where gradients are wanted too; the loss may be its name, such as "mse".

    >>> from miniframe import Linear, MSELoss, ReLU, Sequential
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> seen = trace(model, mx.ones((5, 2)), MSELoss(), mx.zeros((5, 1)))
    >>> seen["1"].output.shape, seen["0"].parameter_grads["weight"].shape, model[0].weight.grad
    ((5, 3), (3, 2), None)
    """
    if (loss is None) != (target is None):
        raise ValueError("trace: expected a loss and a target, or neither")
    loss = None if loss is None else get_loss(loss)
    with untouched(model, *([loss] if loss is not None else [])):
        seen = Pass(model, x, "trace")
        found = {
            name: LayerTrace(name, node.module, tuple(n.value for n in node.inputs), node.value)
            for name, node in seen.calls.items()
            if node.module is not None
        }
        result = Trace(list(found.values()), seen.output)
        if loss is not None:
            result.loss = loss(result.output, as_array(target))
            for step in seen.backward(loss.gradient()):
                layer = found[step.name]
                layer.grad_output, layer.grad_inputs = step.node.grad, step.grad_inputs
                layer.parameter_grads = step.parameter_grads
            result.grad_inputs = tuple(node.grad for node in seen.inputs)
        mx.eval([(t.output, t.grad_output, t.grad_inputs, t.parameter_grads) for t in result.layers])
    return result


def _size(value: Any) -> str:
    """The mean magnitude of an array, for a table."""
    if isinstance(value, tuple):
        return ", ".join(_size(part) for part in value)
    return "" if value is None else f"{mx.abs(value).mean().item():.4g}"
