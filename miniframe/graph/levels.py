"""Which calls of a graph could run at the same time: those that wait for none of each other."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.node import Node
from ..core.teach import teach
from .graph import Graph


def levels(graph: Graph) -> list[list[str]]:
    """The calls by level, by their names: all calls of a level can run side by side, once the levels before are done.

        level(call) = 1 + the largest level among what the call is computed from; inputs and constants have level 0

    With enough cores, the time of a pass is that of its levels, one after the other, however many calls there are.
    Going backward, the same levels serve in reverse.

    >>> from miniframe import Input, Linear
    >>> x = Input((2,), name="x")
    >>> left, right = Linear(2, 3)(x).named("left"), Linear(2, 3)(x).named("right")
    >>> Graph(x, left * right).levels()
    [['left', 'right'], ['multiply']]
    """
    found: dict[int, list[str]] = {}
    for (name, node), level in zip(graph.names.items(), levels_of(graph.nodes, graph.inputs)):
        if node.module is not None and level:
            found.setdefault(level, []).append(name)
    return [found[level] for level in sorted(found)]


def levels_of(nodes: Iterable[Node], inputs: Iterable[Node] = ()) -> list[int]:
    """The level of each node, in execution order; 0 for what is given.

    Args:
        nodes: in execution order.
        inputs: nodes that count as given, whatever made them.

    >>> from miniframe import Variable
    >>> x = Variable(2.0)
    >>> levels_of([x, y := x * 3.0, y + x])
    [0, 1, 2]
    """
    given = {node.index for node in inputs}
    level: dict[float, int] = {}
    for node in nodes:
        if node.module is None or node.index in given:
            level[node.index] = 0
        else:
            level[node.index] = 1 + max((level.get(source.index, 0) for source in node.inputs), default=0)
    return list(level.values())


teach(Graph, levels)
