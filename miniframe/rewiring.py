"""Changing a graph that is already wired: a layer inserted behind a node, or taken out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import Node
from .module import EMPTY, Module, free_name

if TYPE_CHECKING:
    from .static_graph import Graph


def insert(graph: Graph, after: str, layer: Module, name: str | None) -> None:
    """Make every consumer of the node ``after`` read it through ``layer`` instead."""
    if not isinstance(layer, Module):
        raise TypeError(f"Graph: expected a module to insert, got {layer!r}")
    name = free_name(layer, graph.names) if name is None else name
    if name in graph.names:
        raise ValueError(f"Graph: there is already a node named {name!r}")
    if graph[after].module is not None and graph[after].module.output_count is not None:  # type: ignore[union-attr]
        raise ValueError(f"Graph: {after!r} has several outputs; insert behind one of them, such as '{after}[0]'")
    if graph[after] in graph.inputs and graph[after] in graph.outputs:
        raise ValueError(f"Graph: {after!r} is an input and an output at once")
    key = next(known for known, node in graph.names.items() if node is graph[after])
    _own_nodes(graph)
    source = graph.names[key]
    node = Node(module=layer, inputs=(source,), name=name)
    following = [n.index for n in graph.nodes if n.index > source.index]
    node.index = (source.index + min(following, default=source.index + 1)) / 2  # run behind it, before all consumers
    _replace(graph, source, node)
    node.inputs = (source,)
    graph.layers[name] = layer
    graph.names = dict(sorted([*graph.names.items(), (name, node)], key=lambda item: item[1].index))


def remove(graph: Graph, name: str) -> Module:
    """Make every consumer of the named layer read its input instead; returns the layer."""
    node = graph[name]
    if node.module is None or name not in graph.layers:
        raise ValueError(f"Graph: cannot remove {name!r}: it is no layer of the graph itself")
    if len(node.inputs) != 1 or node.module.output_count is not None:
        raise ValueError(f"Graph: cannot remove {name!r}: only a layer with one input and one output can be left out")
    _own_nodes(graph)
    node = graph.names.pop(name)
    _replace(graph, node, node.inputs[0])
    layer = graph.layers[name]
    if not any(other.module is layer for other in graph.nodes):
        del graph.layers[name]
    return layer


def _own_nodes(graph: Graph) -> None:
    """Give the graph nodes of its own, since those it was made from may take part in other graphs."""
    graph._saved = EMPTY
    graph._program = None
    copies: dict[float, Node] = {node.index: node for node in graph.inputs}
    for node in graph.nodes:
        if node.index not in copies:
            twin = Node(node.value, node.module, tuple(copies[n.index] for n in node.inputs), node.name, node.hint)
            twin.index, twin.scope = node.index, node.scope
            copies[node.index] = twin
    graph.names = {name: copies[node.index] for name, node in graph.names.items()}
    graph.outputs = tuple(copies[node.index] for node in graph.outputs)


def _replace(graph: Graph, old: Node, new: Node) -> None:
    given = {node.index for node in graph.inputs}
    for node in graph.nodes:
        if node.index not in given:
            node.inputs = tuple(new if source is old else source for source in node.inputs)
    graph.outputs = tuple(new if node is old else node for node in graph.outputs)
