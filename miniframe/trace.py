"""trace: one pass through a model with everything that happened in it written down, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from .arrays import as_array
from .graph import Node
from .losses import Loss
from .module import Module, Parameter, Recording
from .naming import name_nodes
from .untouched import untouched
from .walk import add_grad, ancestors, backward_order, input_grads


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
    """What :func:`trace` found: index it by name, iterate over its layers, or print it as a table.

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

    def __getitem__(self, name: str) -> LayerTrace:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"trace: no layer {name!r}; it has {', '.join(layer.name for layer in self.layers)}")

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        head = ("name", "layer", "output", "mean |value|", "mean |grad|")
        rows = [
            (t.name, t.module.title(), shape_text(t.output), _size(t.output), _size(t.grad_output)) for t in self.layers
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
        end = [] if self.loss is None else [f"loss {self.loss.item():.6g}"]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *end])


def trace(model: Module, x: Any, loss: Loss | None = None, target: Any = None) -> Trace:
    """Run a model once, and its backward if there is a loss, and return what every layer got and gave.

    The model is left as it was: its gradients, running statistics, the random state, and what it had saved. It runs
    in the mode it is in; ``model.eval()`` first traces what ``predict`` does.

    Args:
        model: a Sequential, a Graph, a custom module or a single layer.
        x: a batch of inputs; a tuple for a model with several.
        loss, target: where gradients are wanted too.

    >>> from miniframe import Linear, MSELoss, ReLU, Sequential
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> seen = trace(model, mx.ones((5, 2)), MSELoss(), mx.zeros((5, 1)))
    >>> seen["1"].output.shape, seen["0"].parameter_grads["weight"].shape, model[0].weight.grad
    ((5, 3), (3, 2), None)
    """
    if (loss is None) != (target is None):
        raise ValueError("trace: expected a loss and a target, or neither")
    with untouched(model, *([loss] if loss is not None else [])):
        inputs, outputs, calls = recorded_calls(model, x, "trace")
        found = {
            id(node): LayerTrace(name, node.module, tuple(n.value for n in node.inputs), node.value)
            for name, node in calls.items()
            if node.module is not None
        }
        values = tuple(node.value for node in outputs)
        result = Trace(list(found.values()), values[0] if len(values) == 1 else values)
        if loss is not None:
            result.loss = loss(result.output, as_array(target))
            gradient = loss.gradient()
            for node in backward_order(outputs, gradient if isinstance(gradient, tuple) else [gradient]):
                step = found[id(node)]
                step.grad_inputs, step.parameter_grads = backward_of(node)
                step.grad_output = node.grad
            result.grad_inputs = tuple(node.grad for node in inputs)
        mx.eval([(t.output, t.grad_output, t.grad_inputs, t.parameter_grads) for t in result.layers])
    return result


def recorded_calls(model: Module, x: Any, where: str) -> tuple[tuple[Node, ...], tuple[Node, ...], dict[str, Node]]:
    """(inputs, outputs, calls by name) of one pass through a model, whatever kind of model it is."""
    if not Recording.on:
        raise RuntimeError(f"{where}: nothing is recorded under no_grad")
    arrays = x if isinstance(x, tuple) else (x,)
    inputs = tuple(Node(as_array(array, where=where)) for array in arrays)
    output = model(*inputs)
    outputs = output if isinstance(output, tuple) else (output,)
    calls = [node for node in ancestors(outputs) if node.module is not None]
    return inputs, outputs, name_nodes(calls, {id(module): path for path, module in model.named_modules()}, where)


def backward_of(node: Node) -> tuple[tuple[Any, ...], dict[str, mx.array]]:
    """Run one call's backward; (gradients of its inputs, what it added to the gradient of each parameter)."""
    assert node.module is not None
    parameters: list[tuple[str, Parameter]] = list(node.module.named_parameters())
    before = [parameter.grad for _, parameter in parameters]
    for _, parameter in parameters:
        parameter.grad = None
    grads = input_grads(node)
    added = {name: parameter.grad for name, parameter in parameters if parameter.grad is not None}
    for (_, parameter), grad in zip(parameters, before):
        if grad is not None:
            parameter.grad = grad if parameter.grad is None else grad + parameter.grad
    for source, grad in zip(node.inputs, grads):
        add_grad(source, grad)
    return grads, added


def shape_text(value: Any) -> str:
    """The shape of an array, of a tuple of arrays, or "number"."""
    if isinstance(value, tuple):
        return ", ".join(shape_text(part) for part in value)
    return str(value.shape) if isinstance(value, mx.array) else "number"


def _size(value: Any) -> str:
    """The mean magnitude of an array, for a table."""
    if isinstance(value, tuple):
        return ", ".join(_size(part) for part in value)
    return "" if value is None else f"{mx.abs(value).mean().item():.4g}"
