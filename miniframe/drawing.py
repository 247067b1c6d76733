"""Pictures of graphs: Mermaid text, SVG written by hand, PNG through matplotlib.

A picture is boxes and arrows. Each box is a layer call with its name, shape and, for small graphs after a pass, its
value and gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from .graph import Node
from .layers.combine import Part
from .naming import name_nodes
from .painting import paint_png, paint_svg
from .static_graph import Graph
from .walk import add_grad, ancestors, backward_order, grad_or_zero, input_grads

SMALL = 4  # numbers: arrays up to this size are shown in full
LONG = 5  # calls in a row: longer graphs are drawn from top to bottom
FEW = 40  # nodes: larger graphs are drawn without values
SIGNS = {"Add": "+", "Subtract": "−", "Multiply": "×", "Divide": "/", "MatMul": "@", "Power": "^", "Negate": "−"}


@dataclass
class Box:
    """A node in a picture: its title, and beneath it, where known, shape, value and gradient."""

    title: str
    shape: str = ""
    value: str = ""
    grad: str = ""
    given: bool = False  # an input or a constant
    active: bool = False  # what the step that is pictured computes

    def lines(self) -> list[tuple[str, str]]:
        """(kind, text) of the lines in the box."""
        found = [("title", self.title), ("shape", self.shape)]
        found += [("value", self.value and f"value {self.value}"), ("grad", self.grad and f"grad {self.grad}")]
        return [(kind, text) for kind, text in found if text]


@dataclass
class Picture:
    """Boxes and the arrows between them, by number; prints as Mermaid text."""

    boxes: list[Box]
    arrows: list[tuple[int, int]]

    @property
    def down(self) -> bool:
        """Whether arrows point down, as suits long chains, instead of to the right."""
        longest = [0] * len(self.boxes)
        for source, target in sorted(self.arrows, key=lambda arrow: arrow[1]):
            longest[target] = max(longest[target], longest[source] + 1)
        return max(longest, default=0) > LONG

    def mermaid(self) -> str:
        """The picture as text that code hosts and many editors draw."""
        lines = [f"flowchart {'TD' if self.down else 'LR'}"]
        for number, box in enumerate(self.boxes):
            text = "<br/>".join(text for _, text in box.lines()).replace('"', "#quot;")
            left, right = ("([", "])") if box.given else ("[", "]")
            lines.append(f'    n{number}{left}"{text}"{right}')
        lines += [f"    n{source} --> n{target}" for source, target in self.arrows]
        lines += [f"    style n{i} stroke-width:3px" for i, box in enumerate(self.boxes) if box.active]
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the picture; the ending says how: .svg, .png, or .mmd for Mermaid text."""
        path = Path(path)
        if path.suffix == ".svg":
            path.write_text(paint_svg(self), encoding="utf-8")
        elif path.suffix == ".png":
            paint_png(self, path)
        elif path.suffix == ".mmd":
            path.write_text(self.mermaid() + "\n", encoding="utf-8")
        else:
            raise ValueError(f"draw: expected a path ending in .svg, .png or .mmd, got {str(path)!r}")

    def __repr__(self) -> str:
        return self.mermaid()


def draw(graph: Graph | Node | Sequence[Node], path: str | Path | None = None, values: bool | None = None) -> str:
    """A picture of a Graph, or of everything behind a node, as Mermaid text.

    Args:
        graph: a Graph, a node, or a list of nodes.
        path: where to write the picture too: .svg, .png (needs matplotlib) or .mmd.
        values: whether to show values and gradients; left out, for graphs of up to 40 nodes.

    >>> from miniframe import Variable
    >>> print(draw(Variable(-2.0, name="x") * 3))
    flowchart LR
        n0(["x<br/>value -2"])
        n1(["3"])
        n2["×<br/>value -6"]
        n0 --> n2
        n1 --> n2
    """
    picture = picture_of(graph, values)
    if path is not None:
        picture.save(path)
    return picture.mermaid()


def picture_of(graph: Graph | Node | Sequence[Node], values: bool | None = None) -> Picture:
    """The boxes and arrows that ``draw`` shows."""
    names = names_of(graph)
    shown = len(names) <= FEW if values is None else values
    boxes = [
        _box(name, node, node.value if shown else None, node.grad if shown else None) for name, node in names.items()
    ]
    return Picture(boxes, arrows_of(names.values()))


def names_of(graph: Graph | Node | Sequence[Node]) -> dict[str, Node]:
    """The nodes to draw, by name, in execution order."""
    if isinstance(graph, Graph):
        return graph.names
    outputs = [graph] if isinstance(graph, Node) else list(graph)
    if not outputs or not all(isinstance(node, Node) for node in outputs):
        raise TypeError(f"draw: expected a Graph or nodes, got {graph!r}")
    return name_nodes(ancestors(outputs), {}, "draw")


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


def _box(name: str, node: Node, value: Any, grad: Any, active: bool = False) -> Box:
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


# -------------------------------------------------------------------- a computation, picture by picture


def draw_steps(output: Node, path: str | None = None) -> list[Picture]:
    """One picture for each step of a computation: what is given, every forward operation, every backward operation.

    For f = (x + y) z these are five: the given values, the sum, the product, and on the way back the gradients at the
    inputs of the product, then at those of the sum. Leaves the gradients in the nodes, as ``output.backward()`` does.

    Args:
        output: a node that holds a single number.
        path: where to write the pictures, with {} for their number: "figures/example_{}.svg".

    >>> from miniframe import Variable
    >>> x, y, z = Variable(-2.0, "x"), Variable(5.0, "y"), Variable(-4.0, "z")
    >>> pictures = draw_steps((x + y) * z)
    >>> len(pictures), [box.grad for box in pictures[-1].boxes]
    (5, ['-4', '-4', '3', '-4', '1'])
    """
    if path is not None and "{}" not in path:
        raise ValueError(f"draw_steps: expected a path with {{}} for the number of the picture, got {path!r}")
    if not isinstance(output, Node) or output.value is None or output.value.size != 1:
        raise ValueError(f"draw_steps: expected a node that holds a single number, got {output!r}")
    pictures = list(_steps(output))
    if path is not None:
        for number, picture in enumerate(pictures, 1):
            picture.save(path.format(number))
    return pictures


def _steps(output: Node) -> Iterator[Picture]:
    names = names_of(output)
    calls = [node for node in names.values() if node.module is not None]
    known = {node.index for node in names.values() if node.module is None}
    yield _snapshot(names, known, set(), set())
    for node in calls:
        known.add(node.index)
        yield _snapshot(names, known, set(), {node.index})
    reached: set[float] = set()
    for node in backward_order([output], [mx.ones_like(output.value)]):
        for source, grad in zip(node.inputs, input_grads(node)):
            add_grad(source, grad)
        reached |= {node.index, *(source.index for source in node.inputs)}
        yield _snapshot(names, known, reached, {source.index for source in node.inputs})


def _snapshot(names: Mapping[str, Node], known: set[float], reached: set[float], active: set[float]) -> Picture:
    boxes = [
        _box(
            name,
            node,
            node.value if node.index in known else None,
            grad_or_zero(node) if node.index in reached and node.operation != "constant" else None,
            node.index in active,
        )
        for name, node in names.items()
    ]
    return Picture(boxes, arrows_of(names.values()))
