"""Reaching into a model: one pass on a Variable records every layer call as a node with its value and gradient."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.arrays import as_array
from ..core.module import Module
from ..core.node import Node
from ..core.walk import grad_or_zero
from ..graph.passes import Pass


def find_layer(model: Module, layer: str | int | Module) -> Module:
    """The module with this path in the model, such as "0" or "features.3", or at this place among those directly in it.

    A module itself is taken as it is.

    Raises:
        ValueError: for an unknown path, with the known ones.
    """
    modules = dict(model.named_modules())
    if isinstance(layer, Module):
        if not any(module is layer for module in modules.values()):
            raise ValueError(f"{layer.title()} is not part of this {type(model).__name__}")
        return layer
    if isinstance(layer, int):
        direct = [child for _, child in model.children() if isinstance(child, Module)]
        if not -len(direct) <= layer < len(direct):
            raise ValueError(f"no layer {layer}; this {type(model).__name__} has {len(direct)}")
        return direct[layer]
    if layer not in modules:
        raise ValueError(f"no layer {layer!r}; this {type(model).__name__} has {', '.join(filter(None, modules))}")
    return modules[layer]


def run(model: Module, x: Any) -> Pass:
    """The model on ``x``, with everything in it recorded; it must have one output."""
    seen = Pass(model, x, "explain")
    if len(seen.outputs) != 1:
        raise TypeError(f"{model.title()}: expected a model with one output, got {len(seen.outputs)}")
    return seen


def node_of(seen: Pass, layer: str | Module) -> Node:
    """The node that holds the output of a layer (its last call, if there are several) in a pass of the model.

    For a layer made of others, such as a Sequential inside the model, this is its last inner call.
    """
    module = find_layer(seen.model, layer)
    nodes = [node for node in seen.calls.values() if node.module is module or module in node.scope]
    if not nodes:
        raise ValueError(
            f"{module.title()} was not called, or only inside a module that writes its own backward, "
            "where its value cannot be reached"
        )
    return nodes[-1]


def send_back(node: Node, gradient: mx.array, source: Node) -> mx.array:
    """What arrives at the input ``source`` when ``gradient`` is sent back from a node; zeros if nothing does."""
    source.grad = None
    node.backward(gradient)
    return grad_or_zero(source)


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
