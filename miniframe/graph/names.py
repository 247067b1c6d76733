"""Names for the calls of a graph: by the path of the layer that was called, so that every layer deep inside is reached.

A layer called twice gets a second name with ``#2``; operations such as ``+``, which belong to no layer, are named after
themselves inside the model whose forward made them: ``block.add``, ``block.add_2``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.module import Module
from ..core.node import Node
from ..core.parts import Learned, Part
from ..core.words import numbered


def top_layers(nodes: Iterable[Node], where: str = "Graph") -> dict[str, Module]:
    """The outermost modules that were called, by name, in order: the one a user gave, or the class name."""
    tops: dict[int, tuple[Module, str | None]] = {}
    for node in nodes:
        if node.module is not None and not isinstance(node.module, Part):
            top = node.scope[0] if node.scope else node.module
            given = top.given_name or (node.name if not node.scope else None)
            tops.setdefault(id(top), (top, given))
    taken: dict[str, Module] = {}
    for top, given in tops.values():
        if given is not None and taken.setdefault(given, top) is not top:
            raise ValueError(f"{where}: two layers are named {given!r}: {taken[given].title()} and {top.title()}")
    layers: dict[str, Module] = {}
    for top, given in tops.values():
        name = given or numbered(type(top).__name__.lower(), {**taken, **layers}, "_")
        layers[name] = top
    return layers


def name_nodes(nodes: Iterable[Node], paths: Mapping[int, str], where: str = "Graph") -> dict[str, Node]:
    """A name for every node, in order.

    Args:
        nodes: in execution order.
        paths: the path of each known module and parameter, by its id.
        where: the name that errors begin with.
    """
    nodes = list(nodes)
    names: dict[str, Node] = {}
    for node in nodes:
        if node.name is not None and names.setdefault(node.name, node) is not node:
            raise ValueError(f"{where}: two nodes are named {node.name!r}: {names[node.name]!r} and {node!r}")
    found: dict[int, str] = {id(node): name for name, node in names.items()}
    for node in nodes:
        if id(node) in found:
            continue
        if isinstance(node.module, Part):
            name = f"{found[id(node.inputs[0])]}[{node.module.index}]"
        elif node.module is None:
            name = numbered(node.operation.lower(), names, "_")
        elif isinstance(node.module, Learned) and id(node.module.parameter) in paths:
            name = numbered(paths[id(node.module.parameter)], names, "#")
        elif id(node.module) in paths:
            name = numbered(paths[id(node.module)] or type(node.module).__name__.lower(), names, "#")
        else:
            prefix = next((paths[id(m)] for m in reversed(node.scope) if paths.get(id(m))), "")
            own = type(node.module).__name__.lower()
            name = numbered(f"{prefix}.{own}" if prefix else own, names, "_")
        names[name] = node
        found[id(node)] = name
    return {found[id(node)]: node for node in nodes}
