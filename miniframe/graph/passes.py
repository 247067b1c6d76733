"""One pass over a model: every layer call in order, by name, with its value and, after backward, its gradient.

Called on nodes, a model of any kind dissolves into the calls of its layers. Whoever wants to look inside (trace,
summary, the flight recorder, the search for a NaN, explanations, the witnesses of a gradient check) makes one pass and
reads it. The pass leaves its marks on the model; ``with untouched(model):`` around it takes them away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array, as_tuple
from ..core.module import Module
from ..core.node import Node
from ..core.parts import Learned, Part
from ..core.tape import this_thread
from ..core.walk import add_grad, ancestors, backward_order, input_grads
from .names import name_nodes


@dataclass
class Step:
    """One call going backward: the call, its gradients, and what it added to those of its layer's parameters.

    Attributes:
        name, node: of the call.
        grad_inputs: the gradients that it passes on, one for each input.
        parameter_grads: what this call added to the gradient of each of the layer's parameters.
    """

    name: str
    node: Node
    grad_inputs: tuple[Any, ...]
    parameter_grads: dict[str, mx.array] = field(default_factory=dict)


class Pass:
    """A model, run once on nodes.

    Args:
        model: a Sequential, a Graph, a custom module, a single layer or a loss.
        x: a batch of inputs; a tuple for a model with several.
        where: the name that errors begin with.

    Attributes:
        inputs, outputs: the nodes that went in and came out.
        calls: the node of every layer call, by name, in order. A layer that is called again has "#2" behind its path;
            operations that belong to no layer are named after themselves: "add", "block.add_2".
        paths: the path of every module and cell in the model, by its id.

    >>> from miniframe import Linear, ReLU, Sequential
    >>> layer = Linear(2, 2)
    >>> seen = Pass(Sequential(layer, ReLU(), layer), mx.ones((3, 2)))
    >>> list(seen.calls), seen.output.shape
    (['0', '1', '0#2'], (3, 2))
    """

    def __init__(self, model: Module, x: Any, where: str = "Pass") -> None:
        if not this_thread.tape.on:
            raise RuntimeError(f"{where}: nothing is recorded under no_grad")
        self.model, self.where = model, where
        self.inputs = tuple(
            Node(a if isinstance(a, (int, float)) else as_array(a, where=where)) for a in as_tuple(x)
        )  # numbers stay numbers, as in x ** 2
        self.outputs: tuple[Node, ...] = as_tuple(model(*self.inputs))
        self.paths = {id(item): path for path, item in model.named_items()}
        given = {node.index for node in self.inputs}
        self.nodes = [node for node in ancestors(self.outputs, stop=self.inputs) if node.index not in given]
        calls = [node for node in self.nodes if node.module is not None]
        self.calls: dict[str, Node] = name_nodes(calls, self.paths, where)

    @property
    def output(self) -> Any:
        """What the model returned: one array, or a tuple of arrays."""
        values = tuple(node.value for node in self.outputs)
        return values[0] if len(values) == 1 else values

    def layers(self) -> Iterator[tuple[str, Node]]:
        """(name, node) of the calls of layers, leaving out the parts of a layer that returns several arrays."""
        return ((name, node) for name, node in self.calls.items() if not isinstance(node.module, Part))

    def title(self, name: str) -> str:
        """A call in words, such as "layer '1', ReLU()"; what belongs to no layer of the model, by itself."""
        module = self.calls[name].module
        assert module is not None
        if isinstance(module, Learned):
            return f"parameter {name!r}"
        return f"layer {name!r}, {module.title()}" if self.paths.get(id(module)) else module.title()

    def backward(self, gradient: Any) -> Iterator[Step]:
        """Send a gradient back, one call at a time, from the last to the first; a tuple for several outputs.

        Every node's ``grad`` is complete when its call is given out, and stays afterwards.
        """
        names = {id(node): name for name, node in self.calls.items()}
        for node in backward_order(self.outputs, as_tuple(gradient), stop=self.inputs):
            grad_inputs, added = _backward_of(node)
            yield Step(names[id(node)], node, grad_inputs, added)


def _backward_of(node: Node) -> tuple[tuple[Any, ...], dict[str, mx.array]]:
    """Run one call's backward; (gradients of its inputs, what it added to the gradient of each parameter)."""
    assert node.module is not None
    parameters = list(node.module.named_parameters())
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
