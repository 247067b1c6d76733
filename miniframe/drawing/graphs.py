"""Pictures of graphs: Mermaid text, SVG written by hand, PNG through matplotlib.

Each box is a layer call with its name, shape and, for small graphs after a pass, its value and gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from inspect import signature
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..core.given import Input
from ..core.module import Module
from ..core.node import Node
from ..core.parts import Part
from ..core.teach import teach
from ..core.walk import ancestors
from ..graph.graph import Graph
from ..graph.levels import levels_of
from ..graph.names import name_nodes
from .boxes import Box, Picture
from .painting import paint_svg

Drawable = Module | Node | Sequence[Node]
SMALL = 4  # numbers: arrays up to this size are shown in full
FEW = 40  # nodes: larger graphs are drawn without values
SIGNS = {"Add": "+", "Subtract": "−", "Multiply": "×", "Divide": "/", "MatMul": "@", "Power": "^", "Negate": "−"}


def draw(graph: Drawable, path: str | Path | None = None, values: bool | None = None, levels: bool = False) -> str:
    """A picture of a model, or of everything behind a node, as Mermaid text.

    Args:
        graph: a Graph, any other model, a node, or a list of nodes.
        path: where to write the picture too: .svg, .png (needs matplotlib) or .mmd.
        values: whether to show values and gradients; left out, for graphs of up to 40 nodes.
        levels: whether to mark what can run side by side, a band for each level; see :meth:`miniframe.Graph.levels`.

    >>> from miniframe import Variable
    >>> print(draw(Variable(-2.0, name="x") * 3))
    flowchart LR
        n0(["x<br/>value -2"])
        n1(["3"])
        n2["×<br/>value -6"]
        n0 --> n2
        n1 --> n2
    """
    picture = picture_of(graph, values, levels)
    if path is not None:
        picture.save(path)
    return picture.mermaid()


def picture_of(graph: Drawable, values: bool | None = None, levels: bool = False) -> Picture:
    """The boxes and arrows that ``draw`` shows."""
    names = names_of(graph)
    shown = len(names) <= FEW if values is None else values
    boxes = [
        box_of(name, node, node.value if shown else None, node.grad if shown else None) for name, node in names.items()
    ]
    inputs = graph.inputs if isinstance(graph, Graph) else ()
    return Picture(boxes, arrows_of(names.values()), levels_of(names.values(), inputs) if levels else [])


def names_of(graph: Drawable) -> dict[str, Node]:
    """The nodes to draw, by name, in execution order."""
    if isinstance(graph, Module) and not isinstance(graph, Graph):
        graph = _described(graph)
    if isinstance(graph, Graph):
        return graph.names
    outputs = [graph] if isinstance(graph, Node) else list(graph) if isinstance(graph, (list, tuple)) else []
    if not outputs or not all(isinstance(node, Node) for node in outputs):
        raise TypeError(f"draw: expected a Graph, a Sequential or nodes, or another model, got {graph!r}")
    return name_nodes(ancestors(outputs), {}, "draw")


def _described(model: Module) -> Graph:
    """The model's calls, on placeholders: one for each input that it must be given."""
    given = [p.name for p in signature(model.forward).parameters.values() if p.default is p.empty]
    starts = [Input(name="input")] if len(given) == 1 else [Input(name=name) for name in given]
    try:
        return Graph(starts if len(starts) > 1 else starts[0], model(*starts))
    except (TypeError, AttributeError, ValueError) as error:
        raise TypeError(
            f"draw: {model.title()} cannot be described without data ({error}); "
            "draw(model(mf.Variable(x))) shows what it does with x"
        ) from error


def arrows_of(nodes: Iterable[Node]) -> list[tuple[int, int]]:
    """(number of the input, number of the call) for every input of every call."""
    numbers = {node.index: number for number, node in enumerate(nodes)}
    nodes = list(nodes)
    return [
        (numbers[source.index], numbers[node.index])
        for node in nodes
        for source in node.inputs
        if source.index in numbers
    ]


def box_of(name: str, node: Node, value: Any, grad: Any, active: bool = False) -> Box:
    """The box of one node, with the value and gradient that are to be shown in it."""
    if node.operation == "constant":
        return Box(f"{node.value:g}", given=True)
    title = name
    if node.module is not None and not isinstance(node.module, Part):
        sign = SIGNS.get(node.operation, node.module.title().removesuffix("()"))
        plain = name.rstrip("_0123456789") == node.operation.lower()
        title = sign if plain else f"{name}: {sign}"
    shape = "" if node.shape is None or node.shape == () or isinstance(node.value, tuple) else _shape(node.shape)
    return Box(title, shape, _numbers(value), _numbers(grad), node.module is None, active)


def _shape(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("batch" if size is None else str(size) for size in shape) + ("," * (len(shape) == 1)) + ")"


def _numbers(array: Any) -> str:
    """The numbers of a small array; nothing for a large one."""
    if not isinstance(array, mx.array) or array.size > SMALL:
        return ""
    numbers: Any = array.reshape(-1).tolist()
    flat = [f"{number:.4g}" for number in numbers]
    return flat[0] if array.size == 1 else "[" + ", ".join(flat) + "]"


def as_html(graph: Graph | Node) -> str:
    """A notebook's picture of a graph, or of all that is behind a node; words where it would have too many boxes."""
    if len(names_of(graph)) <= FEW:
        return paint_svg(picture_of(graph))
    return f"<pre>{escape(repr(graph))}</pre>"


teach(Graph, draw, _repr_html_=as_html)
teach(Node, _repr_html_=as_html)
