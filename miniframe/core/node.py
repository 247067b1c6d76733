"""Nodes: layer calls that remember their inputs, with a value and a gradient side by side.

Calling a layer on nodes that hold values runs it at once (define by run); calling it on placeholders only records the
call (define then run). A whole model is then a flat list of nodes, and backward is that list read from the end.

A node knows no layer. What can be written with nodes, ``+``, ``@``, ``.sum()``, is attached where its derivative
stands: ``@written("+")`` above ``class Add``, ``@method("exp")`` above ``class Exp``, in ``layers/``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from .arrays import as_array
from .cells import EMPTY
from .walk import backward
from .words import brief

if TYPE_CHECKING:
    from .module import Module

L = TypeVar("L", bound=type)
Shape = tuple[int | None, ...]
Axis = int | Sequence[int] | None

_counter = itertools.count()


class FORGOTTEN:
    """Stands in the ``saved`` slot of a node made under no_grad."""


class Node:
    """The result of one layer call: ``value``, ``grad``, the ``module`` that was called and its ``inputs``.

    ``grad`` is the gradient that the latest ``backward`` sent here; it is None before the first one.
    Make nodes with :func:`Variable` (a value) or :func:`Input` (a placeholder), then by calling layers or with
    ``+ - * / @ **``, indexing, ``.sum()``, ``.mean()``, ``.exp()``, ``.log()``, ``.reshape(...)``, ``.T``.

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

    def named(self, name: str) -> Node:
        """Give the node a name and return it: ``h = Linear(2, 3)(x).named("hidden")``."""
        self.name = name
        return self

    # ---------------------------------------------------------------- what arrays can do, too

    def __iter__(self) -> Iterator[Node]:
        shape = self.shape
        if not shape or shape[0] is None:
            raise TypeError(f"{self!r}: cannot be iterated over, as the length of its first axis is not known")
        return (self[index] for index in range(shape[0]))

    def __mlx_array__(self) -> Any:
        raise TypeError(
            f"{self!r}: MLX cannot compute with a node. Write the node first (node + array, not array + node), and "
            "use its methods or layers instead of mx functions (node.exp(), mf.concatenate([a, b]))"
        )

    if TYPE_CHECKING:  # attached by the layers that compute them

        def __add__(self, other: Any) -> Node: ...
        def __radd__(self, other: Any) -> Node: ...
        def __sub__(self, other: Any) -> Node: ...
        def __rsub__(self, other: Any) -> Node: ...
        def __mul__(self, other: Any) -> Node: ...
        def __rmul__(self, other: Any) -> Node: ...
        def __truediv__(self, other: Any) -> Node: ...
        def __rtruediv__(self, other: Any) -> Node: ...
        def __matmul__(self, other: Any) -> Node: ...
        def __rmatmul__(self, other: Any) -> Node: ...
        def __pow__(self, exponent: Any) -> Node: ...
        def __rpow__(self, base: Any) -> Node: ...
        def __neg__(self) -> Node: ...
        def __getitem__(self, index: Any) -> Node: ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> Node: ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> Node: ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> Node: ...
        def exp(self) -> Node: ...
        def log(self) -> Node: ...
        def sqrt(self) -> Node: ...
        def reshape(self, *shape: Any) -> Node: ...
        def transpose(self, *axes: int) -> Node: ...
        @property
        def T(self) -> Node: ...


# -------------------------------------------------------------------- how layers attach their operators

SIGNS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "@": "matmul", "**": "pow"}


def written(sign: str) -> Callable[[L], L]:
    """``@written("+")`` above a layer of two inputs: ``x + y`` calls it, if x or y is a node.

    Args:
        sign: one of + - * / @ **.
    """

    def attach(layer: L) -> L:
        setattr(Node, f"__{SIGNS[sign]}__", lambda x, y: layer()(x, y))
        setattr(Node, f"__r{SIGNS[sign]}__", lambda y, x: layer()(x, y))
        return layer

    return attach


def method(name: str) -> Callable[[L], L]:
    """``@method("sum")`` above a layer of one input: ``x.sum(axis)`` makes the layer, ``Sum(axis)``, and calls it on x.

    Args:
        name: of the method; "__neg__" for -x, "__getitem__" for x[index].
    """

    def attach(layer: L) -> L:
        def call(self: Node, *settings: Any, **named: Any) -> Any:
            return layer(*settings, **named)(self)

        first, *_ = signature(call).parameters.values()
        shown = signature(call).replace(parameters=[first, *signature(layer).parameters.values()])
        call.__name__, call.__doc__, call.__signature__ = name, layer.__doc__, shown  # type: ignore[attr-defined]
        setattr(Node, name, call)
        return layer

    return attach


# -------------------------------------------------------------------- where expressions begin


class Placeholder:
    """What is known of an Input before it has a value: the shape, with None for the batch, and the type."""

    def __init__(self, shape: Shape | None, dtype: mx.Dtype) -> None:
        self.shape, self.dtype = shape, dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Placeholder:
        return self  # never changed


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
