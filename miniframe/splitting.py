"""Two models from one: cut where a single array crosses. The halves share nothing but that array and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .graph import Node
from .module import Buffer, Module
from .sequential import Sequential

if TYPE_CHECKING:
    from .static_graph import Graph


def split_sequential(model: Sequential, at: int | str) -> tuple[Sequential, Sequential]:
    """The layers in front of ``at``, and from there on, under the names that they have in the model."""
    first, second = _halves(model, at)
    if not len(first) or not len(second):
        raise ValueError(f"split: expected a layer behind the first of {len(model)}, got {at!r}: one part is empty")
    _refuse_shared(first, second, at)
    return first, second


def _halves(model: Sequential, at: int | str) -> tuple[Sequential, Sequential]:
    if isinstance(at, int):
        at = len(model) + at if at < 0 else at
        if at == len(model):
            return Sequential(dict(model.layers)), Sequential({})
        at = model._name(at)
    head, _, rest = (at, "", "") if at in model.layers else at.partition(".")
    names = list(model.layers)
    place = names.index(model._name(head))
    first = {name: model.layers[name] for name in names[:place]}
    second = {name: model.layers[name] for name in names[place:]}
    if rest:
        inner = model.layers[head]
        if not isinstance(inner, Sequential):
            raise TypeError(f"split: expected a Sequential at {head!r}, got {inner.title()}")
        front, back = _halves(inner, rest)
        if len(front):
            first[head] = front
            second[head] = back
    return Sequential(first), Sequential(second)


def split_graph(graph: Graph, at: int | str) -> tuple[Graph, Graph]:
    """The calls in front of ``at``, in execution order, and from there on."""
    given = {node.index for node in graph.inputs}
    calls = [node for node in graph.nodes if node.module is not None and node.index not in given]
    if isinstance(at, str):
        if graph[at] not in calls:
            raise ValueError(f"split: expected the name of a layer, got {at!r}, which is an {graph[at].operation}")
        place = calls.index(graph[at])
    else:
        place = len(calls) + at if at < 0 else at
    if not 0 < place < len(calls):
        raise ValueError(f"split: expected a layer behind the first of {len(calls)}, got {at!r}: one part is empty")
    boundary = _crossing(graph, calls[:place], calls[place:], at)
    first = _part(graph, graph.inputs, (boundary,), calls[:place])
    second = _part(graph, (boundary,), graph.outputs, calls[place:])
    first.single_input, second.single_output = graph.single_input, graph.single_output
    _refuse_shared(first, second, at)
    return first, second


def _crossing(graph: Graph, front: list[Node], back: list[Node], at: int | str) -> Node:
    """The one node of the front, or input, that the back reads."""
    names = {node.index: name for name, node in graph.names.items()}
    before = {node.index for node in (*graph.inputs, *front)}
    read = [source for node in back for source in node.inputs] + list(graph.outputs)
    found = {node.index: node for node in read if node.index in before}
    if len(found) != 1:
        crossing = ", ".join(names[index] for index in sorted(found))
        raise ValueError(f"split: expected one array to cross the cut at {at!r}, got {len(found)}: {crossing}")
    return next(iter(found.values()))


def _part(graph: Graph, inputs: tuple[Node, ...], outputs: tuple[Node, ...], calls: list[Node]) -> Graph:
    """A graph of some of the calls, in which names and paths stay what they were."""
    paths = {id(module): path for path, module in reversed(list(graph.named_modules()))}
    part = object.__new__(type(graph))
    needed = {node.index for node in (*inputs, *calls)} | {n.index for call in calls for n in call.inputs}
    part.names = {name: node for name, node in graph.names.items() if node.index in needed}
    part.layers = {paths[id(node.module)]: node.module for node in calls if node.module and id(node.module) in paths}
    part.single_input = part.single_output = True
    part.inputs, part.outputs = inputs, outputs
    return part


def _refuse_shared(first: Module, second: Module, at: int | str) -> None:
    cells = {id(cell) for _, cell in first._walk() if isinstance(cell, Buffer)}
    for name, cell in second._walk():
        if id(cell) in cells:
            raise ValueError(f"split: {name!r} is used on both sides of the cut at {at!r}")
