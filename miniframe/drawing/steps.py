"""A computation, picture by picture: what is given, every operation forward, every operation back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import mlx.core as mx

from ..core.node import Node
from ..core.walk import add_grad, backward_order, grad_or_zero, input_grads
from .boxes import Picture
from .graphs import arrows_of, box_of, names_of


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
        box_of(
            name,
            node,
            node.value if node.index in known else None,
            grad_or_zero(node) if node.index in reached and node.operation != "constant" else None,
            node.index in active,
        )
        for name, node in names.items()
    ]
    return Picture(boxes, arrows_of(names.values()))
