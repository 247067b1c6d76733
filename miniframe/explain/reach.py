"""Reaching into a model: one pass on a Variable records every layer call as a node with its value and gradient."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..arrays import as_array
from ..graph import Node, Variable
from ..module import Module
from ..walk import ancestors


def find_layer(model: Module, layer: str | Module) -> Module:
    """The module with this path in the model, such as "0" or "features.3"; a module itself is taken as it is.

    Raises:
        ValueError: for an unknown path, with the known ones.
    """
    modules = dict(model.named_modules())
    if isinstance(layer, Module):
        if not any(module is layer for module in modules.values()):
            raise ValueError(f"{layer.title()} is not part of this {type(model).__name__}")
        return layer
    if layer not in modules:
        raise ValueError(f"no layer {layer!r}; this {type(model).__name__} has {', '.join(filter(None, modules))}")
    return modules[layer]


def run(model: Module, x: Any) -> tuple[Node, Node]:
    """The model on ``x`` as (input node, output node), with everything between them recorded."""
    source = Variable(as_array(x, where="explain"))
    output = model(source)
    if not isinstance(output, Node):
        raise TypeError(f"{model.title()}: expected a model with one output, got {type(output).__name__}")
    return source, output


def node_of(model: Module, layer: str | Module, output: Node) -> Node:
    """The node that holds the output of a layer (its last call, if there are several), from a pass of the model.

    For a layer made of others, such as a Sequential inside the model, this is its last inner call.
    """
    module = find_layer(model, layer)
    nodes = [node for node in ancestors([output]) if node.module is module or module in node.scope]
    if not nodes:
        raise ValueError(
            f"{module.title()} was not called, or only inside a module that writes its own backward, "
            "where its value cannot be reached"
        )
    return nodes[-1]


def chosen_scores(output: mx.array, target: Any) -> tuple[mx.array, mx.array]:
    """(N,) classes in question and the gradient (N, classes) that picks their scores from the output.

    Args:
        output: (N, classes) scores.
        target: one class for all, (N,) classes, or None for the highest score of each.
    """
    if output.ndim != 2:
        raise ValueError(f"explain: expected a model whose output is (batch, classes), got {output.shape}")
    n, classes = output.shape
    labels = mx.argmax(output, axis=-1) if target is None else as_array(target, where="target")
    if labels.ndim == 0:
        labels = mx.broadcast_to(labels, (n,))
    if labels.shape != (n,) or not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"explain: expected one target in 0..{classes - 1} for each of {n} inputs, got {target!r}")
    return labels, (labels[:, None] == mx.arange(classes)).astype(output.dtype)
