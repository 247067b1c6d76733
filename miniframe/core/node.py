"""Nodes: layer calls that remember their inputs, with a value and a gradient side by side.

Calling a layer on nodes that hold values runs it at once (define by run); calling it on placeholders only records the
call (define then run). A whole model is then a flat list of nodes, and backward is that list read from the end.

A node knows no layer. What can be written with nodes, ``+``, ``@``, ``.sum()``, is listed in expression.py.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from .arrays import number
from .cells import EMPTY
from .expression import Expression
from .walk import backward
from .words import brief

if TYPE_CHECKING:
    from ..drawing import graphs as _drawing
    from .module import Module

Shape = tuple[int | None, ...]

_counter = itertools.count()


class NotRecorded(TypeError):
    """A function that is not ours was given a node; raised by the node, without knowing whose forward it was."""


class FORGOTTEN:
    """Stands in the ``saved`` slot of a node made under no_grad."""


class Node(Expression):
    """The result of one layer call: ``value``, ``grad``, the ``module`` that was called and its ``inputs``.

    ``grad`` is the gradient that the latest ``backward`` sent here; it is None before the first one.
    Make nodes with :func:`Variable` (a value) or :func:`Input` (a placeholder), then by calling layers or with
    ``+ - * / @ **``, indexing, ``.sum()``, ``.exp()``, ``.T`` and the functions of miniframe.functional.

    Attributes:
        value: an array; a tuple of arrays for a layer with several outputs; None on a placeholder that has not run.
        grad: of the value's shape, or None.
        module, inputs: the layer that was called, and the nodes it was called on; None and () for what is given.
        saved: what the call kept for its backward.
        name: given by the user, or None.
        scope: the composite models that were being run when the call was made, outermost first.
    """

    __slots__ = ("module", "inputs", "value", "grad", "saved", "name", "hint", "index", "scope", "__weakref__")

    def __init__(
        self,
        value: Any = None,
        module: Module | None = None,
        inputs: tuple[Node, ...] = (),
        name: str | None = None,
        hint: Placeholder | None = None,
        scope: tuple[Module, ...] = (),
    ) -> None:
        self.value = value
        self.grad: Any = None
        self.module = module
        self.inputs = inputs
        self.saved: Any = EMPTY
        self.name = name
        self.hint = hint
        self.index: float = next(_counter)
        self.scope = scope

    def __setstate__(self, state: Any) -> None:
        """Of a copy, or read from a pickle: all as it was, but with a place of its own in the order of creation."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self.index = next(_counter)

    def backward(self, grad: Any = None) -> None:
        """Send a gradient back through every call that led here.

        Afterwards ``grad`` of each node behind this one is the gradient of this node's value with respect to it,
        weighted by ``grad``, and the parameters of the layers have accumulated theirs. A second backward, from here
        or from another expression, writes the nodes' gradients anew; parameters add up until ``zero_grad``.

        Args:
            grad: same shape as ``value``; left out, it is 1, which only a single number may do.
        """
        if self.value is None:
            raise RuntimeError(f"{self!r}: backward needs a value; run the graph on an input first")
        if self.saved is FORGOTTEN:
            raise RuntimeError(f"{self!r}: nothing was recorded under no_grad, so there is no backward")
        if grad is None:
            if self.value.size != 1:
                raise ValueError(f"{self!r}: backward without a gradient needs a single number, got {self.value.shape}")
            grad = mx.ones_like(self.value)
        backward([self], [grad])

    # ---------------------------------------------------------------- words

    @property
    def operation(self) -> str:
        """What made this node: a layer's class name, "Variable", "Input" or "constant"."""
        if self.module is not None:
            return type(self.module).__name__
        if isinstance(self.value, (int, float)):
            return "constant"
        return "Variable" if self.hint is None else "Input"

    @property
    def shape(self) -> Any:
        """The value's shape (for several outputs, a tuple of shapes), or the one a placeholder was given."""
        if self.value is None:
            return None if self.hint is None else self.hint.shape
        if isinstance(self.value, tuple):
            return tuple(part.shape for part in self.value)
        return getattr(self.value, "shape", ())

    def __repr__(self) -> str:
        title = f"{self.operation} {self.name!r}" if self.name else self.operation
        return f"Node({title}, value={brief(self.value)}, grad={brief(self.grad)})"

    if TYPE_CHECKING:  # taught by the file that draws
        _repr_html_ = _drawing.as_html

    def named(self, name: str) -> Node:
        """Give the node a name and return it: ``h = Linear(2, 3)(x).named("hidden")``."""
        self.name = name
        return self

    # ---------------------------------------------------------------- what arrays can do, too

    @property
    def dtype(self) -> Any:
        """The value's type of numbers, or the one a placeholder was given."""
        return getattr(self.value if self.value is not None else self.hint, "dtype", None)

    @property
    def ndim(self) -> int:
        """How many axes the shape has."""
        return len(self.shape or ())

    def __bool__(self) -> bool:
        """Of a single number, such as ``x.sum() > 0`` where the way through the model depends on the data."""
        if self.value is None or isinstance(self.value, tuple) or getattr(self.value, "size", 1) != 1:
            raise TypeError(f"{self!r}: only a single number is true or false; use where(condition, a, b)")
        return bool(number(self.value))

    def __mlx_array__(self) -> Any:
        raise NotRecorded(
            f"{self!r}: MLX cannot compute with a node. Write the node first (node + array, not array + node), and "
            "use its methods or miniframe.functional instead of mx functions (node.exp(), F.exp(node))"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise NotRecorded(f"{self!r}: NumPy cannot compute with a node; np.array(node.value) has its numbers")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(function, "__name__", "this function")
        raise NotRecorded(
            f"{self!r}: np.{name} cannot compute with a node; use the node's methods or miniframe.functional"
        )


# -------------------------------------------------------------------- where expressions begin


class Placeholder:
    """What is known of an Input before it has a value: the shape, with None for the batch, and the type."""

    def __init__(self, shape: Shape | None, dtype: mx.Dtype) -> None:
        self.shape, self.dtype = shape, dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Placeholder:
        return self  # never changed
