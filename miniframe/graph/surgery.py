"""Changing a graph that is already wired: a layer inserted behind a node, or taken out again."""

from __future__ import annotations

from ..core.cells import EMPTY
from ..core.module import Module, free_name
from ..core.node import Node
from ..core.teach import teach
from .graph import Graph


def insert(graph: Graph, after: int | str, layer: Module, name: str | None = None) -> Graph:
    """Put a layer with one input and output, such as a Tap, behind the named node; returns the graph.

    Args:
        after: the name of a layer call or an input, or the position of a call; everything that used its value now
            uses the layer's output.
        layer: the module.
        name: of the new layer; by default that of its class, with a number where it is taken.
    """
    if not isinstance(layer, Module):
        raise TypeError(f"Graph: expected a module to insert, got {layer!r}")
    after = graph.name_of(after)
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
    names = dict(sorted([*graph.names.items(), (name, node)], key=lambda item: item[1].index))
    graph.rewired(names, graph.outputs)
    return graph


def remove(graph: Graph, name: int | str) -> Module:
    """Take out the layer with this name or position, which must have one input and one output, and return it."""
    name = graph.name_of(name)
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
    graph.saved = EMPTY
    copies: dict[float, Node] = {node.index: node for node in graph.inputs}
    for node in graph.nodes:
        if node.index not in copies:
            twin = Node(
                node.value, node.module, tuple(copies[n.index] for n in node.inputs), node.name, node.hint, node.scope
            )
            twin.index = node.index
            copies[node.index] = twin
    names = {name: copies[node.index] for name, node in graph.names.items()}
    graph.rewired(names, tuple(copies[node.index] for node in graph.outputs))


def _replace(graph: Graph, old: Node, new: Node) -> None:
    given = {node.index for node in graph.inputs}
    for node in graph.nodes:
        if node.index not in given:
            node.inputs = tuple(new if source is old else source for source in node.inputs)
    graph.outputs = tuple(new if node is old else node for node in graph.outputs)


teach(Graph, insert, remove)
