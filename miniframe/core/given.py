"""Where expressions begin: a node that is given a value, or a place for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from .arrays import as_array
from .node import Node, Placeholder


def Variable(value: Any, name: str | None = None) -> Node:
    """A node that holds a value, to start an expression or run a model on.

    >>> x, y, z = Variable(-2.0), Variable(5.0), Variable(-4.0)
    >>> f = (x + y) * z
    >>> f.backward()
    >>> f, x.grad.item(), y.grad.item(), z.grad.item()
    (Node(Multiply, value=-12, grad=1), -4.0, -4.0, 3.0)
    """
    return Node(as_array(value, where="Variable"), name=name)


def Input(shape: Sequence[int] | None = None, name: str | None = None, dtype: mx.Dtype = mx.float32) -> Node:
    """A placeholder: a node without a value, to describe a model before there is data. Graph makes a model of it.

    Args:
        shape: of one sample, without the batch, such as (2,) or (28, 28, 1); None accepts anything.
        name: by which the graph's errors and pictures call it.
        dtype: of the values; ``mx.int32`` for what goes into an Embedding.

    >>> from miniframe import Linear
    >>> Linear(2, 3)(Input((2,), name="point"))
    Node(Linear, value=None, grad=None)
    """
    if shape is not None and not (isinstance(shape, (tuple, list)) and all(isinstance(n, int) for n in shape)):
        raise ValueError(f"Input: expected the shape of one sample, such as (2,) or (28, 28, 1), got {shape!r}")
    return Node(name=name, hint=Placeholder(None if shape is None else (None, *shape), dtype))
