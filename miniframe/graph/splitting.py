"""Two models from one: cut where a single array crosses. The halves share nothing but that array and its gradient."""

from __future__ import annotations

from ..core.cells import Buffer
from ..core.module import Module
from ..core.node import Node
from ..core.sequential import Sequential
from ..core.teach import teach
from .graph import Graph


def split_sequential(model: Sequential, at: int | str) -> tuple[Sequential, Sequential]:
    """Two models that share nothing but the array at the boundary: the second begins with the layer ``at``.

    Args:
        at: a position, a name, or a path into an inner Sequential such as "encoder.2".

    Run one after the other they are the model, forward and backward; layers are shared with the model and keep
    their names.

    >>> import mlx.core as mx
    >>> from miniframe import Linear, MSELoss, ReLU
    >>> first, second = Sequential(Linear(2, 3), ReLU(), Linear(3, 1)).split(1)
    >>> loss = MSELoss()
    >>> value = loss(second(first(mx.ones((5, 2)))), mx.zeros((5, 1)))
    >>> first.backward(second.backward(loss.backward())).shape
    (5, 2)
    """
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
        at = model.name_of(at)
    head, _, rest = (at, "", "") if at in model.layers else at.partition(".")
    names = list(model.layers)
    place = names.index(model.name_of(head))
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
    """Two models that share nothing but the array at the boundary: the second begins with the layer ``at``.

    Args:
        at: the name of a layer, or its position among the layer calls. A single array must cross the cut.
    """
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
    cells = {id(cell) for _, cell in first.named_items() if isinstance(cell, Buffer)}
    for name, cell in second.named_items():
        if id(cell) in cells:
            raise ValueError(f"split: {name!r} is used on both sides of the cut at {at!r}")


teach(Sequential, split=split_sequential)
teach(Graph, split=split_graph)
