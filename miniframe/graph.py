"""Nodes: layer calls that remember their inputs, with a value and a gradient side by side.

Calling a layer on nodes that hold values runs it at once (define by run); calling it on placeholders only records the
call (define then run). A whole model is then a flat list of nodes, and backward is that list read from the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import mlx.core as mx

from .arrays import as_array
from .layers import arithmetic as ops
from .module import EMPTY, Module, Recording

_counter = itertools.count()
_scope: list[Module] = []


class Node:
    """The result of one layer call: ``value``, ``grad``, the ``module`` that was called and its ``inputs``.

    ``grad`` is the gradient that the latest ``backward`` sent here; it is None before the first one.
    Make nodes with :func:`Variable` (a value) or :func:`Input` (a placeholder), then by calling layers or with
    ``+ - * / @ **``, indexing, ``.sum()``, ``.mean()``, ``.exp()``, ``.log()``, ``.reshape(...)``, ``.T``.
    """

    __slots__ = ("module", "inputs", "value", "grad", "saved", "name", "shape_hint", "index", "scope", "__weakref__")

    def __init__(
        self,
        value: Any = None,
        module: Module | None = None,
        inputs: tuple[Node, ...] = (),
        name: str | None = None,
        shape_hint: tuple[int | None, ...] | None = None,
    ) -> None:
        self.value = value
        self.grad: mx.array | None = None
        self.module = module
        self.inputs = inputs
        self.saved: Any = EMPTY
        self.name = name
        self.shape_hint = shape_hint
        self.index = next(_counter)
        self.scope = tuple(_scope)

    # ---------------------------------------------------------------- running

    def run(self) -> None:
        """Compute ``value`` from the values of the inputs, and keep what backward needs."""
        assert self.module is not None
        self.value = self.module.forward(*[node.value for node in self.inputs])
        self.saved = self.module._saved

    def backward(self, grad: Any = None) -> None:
        """Send a gradient back through every call that led here.

        Afterwards ``grad`` of each node behind this one is the gradient of this node's value with respect to it,
        weighted by ``grad``, and the parameters of the layers have accumulated theirs.

        Args:
            grad: same shape as ``value``; left out, it is 1, which only a single number may do.
        """
        if self.value is None:
            raise RuntimeError(f"{self!r}: backward needs a value; run the graph on an input first")
        if grad is None:
            if self.value.size != 1:
                raise ValueError(f"{self!r}: backward without a gradient needs a single number, got {self.value.shape}")
            grad = mx.ones_like(self.value)
        if self.module is None and not self.inputs and not Recording.on:
            raise RuntimeError(f"{self!r}: nothing was recorded under no_grad, so there is no backward")
        backward([self], [grad])

    # ---------------------------------------------------------------- words

    @property
    def operation(self) -> str:
        """What made this node: a layer's class name, "Variable", "Input" or "constant"."""
        if self.module is not None:
            return type(self.module).__name__
        if isinstance(self.value, (int, float)):
            return "constant"
        return "Input" if self.value is None or self.shape_hint is not None else "Variable"

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The value's shape, or the one a placeholder was given."""
        if isinstance(self.value, (int, float)):
            return ()
        return self.value.shape if self.value is not None else self.shape_hint

    def __repr__(self) -> str:
        title = f"{self.operation} {self.name!r}" if self.name else self.operation
        return f"Node({title}, value={_brief(self.value)}, grad={_brief(self.grad)})"

    def named(self, name: str) -> Node:
        """Give the node a name and return it: ``h = Linear(2, 3)(x).named("hidden")``."""
        self.name = name
        return self

    # ---------------------------------------------------------------- arithmetic: every operation is a layer

    def __add__(self, other: Any) -> Node:
        return ops.Add()(self, other)

    def __radd__(self, other: Any) -> Node:
        return ops.Add()(other, self)

    def __sub__(self, other: Any) -> Node:
        return ops.Subtract()(self, other)

    def __rsub__(self, other: Any) -> Node:
        return ops.Subtract()(other, self)

    def __mul__(self, other: Any) -> Node:
        return ops.Multiply()(self, other)

    def __rmul__(self, other: Any) -> Node:
        return ops.Multiply()(other, self)

    def __truediv__(self, other: Any) -> Node:
        return ops.Divide()(self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return ops.Divide()(other, self)

    def __matmul__(self, other: Any) -> Node:
        return ops.MatMul()(self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return ops.MatMul()(other, self)

    def __pow__(self, exponent: Any) -> Node:
        return ops.Power()(self, exponent)

    def __rpow__(self, base: Any) -> Node:
        return ops.Power()(base, self)

    def __neg__(self) -> Node:
        return ops.Negate()(self)

    def __getitem__(self, index: Any) -> Node:
        return ops.Index(index)(self)

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Node:
        return ops.Sum(axis, keepdims)(self)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Node:
        return ops.Mean(axis, keepdims)(self)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Node:
        return ops.Max(axis, keepdims)(self)

    def exp(self) -> Node:
        return ops.Exp()(self)

    def log(self) -> Node:
        return ops.Log()(self)

    def sqrt(self) -> Node:
        return ops.Sqrt()(self)

    def reshape(self, *shape: Any) -> Node:
        return ops.ReshapeTo(shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)(self)

    def transpose(self, *axes: int) -> Node:
        return ops.Transpose(axes or None)(self)

    @property
    def T(self) -> Node:
        return ops.Transpose()(self)


def _brief(array: Any) -> str:
    if array is None or isinstance(array, (int, float)):
        return str(array)
    if isinstance(array, tuple):
        return "(" + ", ".join(_brief(item) for item in array) + ")"
    return f"{array.item():.6g}" if array.size == 1 else f"array{array.shape}"


def Variable(value: Any, name: str | None = None) -> Node:
    """A node that holds a value, to start an expression or run a model on.

    >>> x, y, z = Variable(-2.0), Variable(5.0), Variable(-4.0)
    >>> f = (x + y) * z
    >>> f.backward()
    >>> f, x.grad.item(), y.grad.item(), z.grad.item()
    (Node(Multiply, value=-12, grad=1), -4.0, -4.0, 3.0)
    """
    return Node(as_array(value, where="Variable"), name=name)


class no_grad:
    """``with no_grad():`` forward passes keep nothing for backward, and calls on nodes are not recorded."""

    def __enter__(self) -> no_grad:
        self._before = Recording.on
        Recording.on = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Recording.on = self._before


# -------------------------------------------------------------------- recording calls


def call_on_nodes(module: Module, inputs: Sequence[Any]) -> Any:
    """A layer's call on nodes: modules made of others run their forward, anything else becomes one node."""
    nodes = tuple(_as_node(x) for x in inputs)
    if module.flattens or module.composes():
        _scope.append(module)
        try:
            return module.forward(*nodes)
        finally:
            _scope.pop()
            module._saved = EMPTY
    ready = all(node.value is not None for node in nodes)
    if ready and not Recording.on:
        value = module.forward(*[node.value for node in nodes])
        module._saved = EMPTY
        return Node(value)
    node = Node(module=module, inputs=nodes)
    if ready:
        node.run()
    return node


def _as_node(x: Any) -> Node:
    """Nodes stay; plain numbers stay numbers, so that they take the precision of what they meet."""
    if isinstance(x, Node):
        return x
    return Node(x if isinstance(x, (int, float)) else as_array(x, where="Node"))


def forward_recorded(module: Module, inputs: tuple[mx.array, ...]) -> Any:
    """Run a module that only composes others on arrays, keeping the recorded calls in its ``saved`` slot."""
    nodes = tuple(Node(x) for x in inputs)
    output = call_on_nodes(module, nodes)
    outputs = output if isinstance(output, tuple) else (output,)
    if not all(isinstance(node, Node) for node in outputs):
        raise TypeError(
            f"{module.title()}: forward returned {type(output).__name__}, so its calls could not be recorded; "
            "compose layers and Node operations only, or write a backward"
        )
    module._saved = (nodes, output)
    return tuple(node.value for node in output) if isinstance(output, tuple) else output.value


def backward_through(module: Module, grad_output: Any) -> Any:
    """The backward of a module that only composes others: the recorded calls, last to first."""
    inputs, output = module.saved
    several = isinstance(output, tuple)
    backward(output if several else [output], grad_output if several else [grad_output])
    grads = tuple(_grad_or_zero(node) for node in inputs)
    return grads[0] if len(grads) == 1 else grads


def _grad_or_zero(node: Node) -> mx.array:
    return node.grad if node.grad is not None else mx.zeros_like(node.value)


# -------------------------------------------------------------------- the backward walk


def ancestors(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs depend on, themselves included, in the order in which they were made."""
    found: dict[int, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(node.inputs)
    return [found[index] for index in sorted(found)]


def backward(outputs: Sequence[Node], grads: Sequence[Any]) -> None:
    """Send ``grads`` back from ``outputs``: the first consumer of a value writes its gradient, later ones add."""
    if len(outputs) != len(grads):
        raise ValueError(f"backward: expected {len(outputs)} gradients, one for each output, got {len(grads)}")
    nodes = ancestors(outputs)
    for node in nodes:
        node.grad = None
    for node, grad in zip(outputs, grads):
        grad = as_array(grad, where="backward")
        if grad.shape != node.value.shape:
            raise ValueError(f"{node!r}: expected a gradient of shape {node.value.shape}, got {grad.shape}")
        _add_grad(node, grad)
    for node in reversed(nodes):
        if node.grad is not None and node.module is not None:
            for source, grad in zip(node.inputs, input_grads(node)):
                if grad is not None and not isinstance(source.value, (int, float)):
                    _add_grad(source, grad)


def input_grads(node: Node) -> tuple[mx.array | None, ...]:
    """Run one node's backward on its own saved slot; one gradient for each input."""
    assert node.module is not None
    node.module._saved = node.saved
    grads = node.module.backward(node.grad)
    return grads if isinstance(grads, tuple) else (grads,)


def _add_grad(node: Node, grad: mx.array) -> None:
    node.grad = grad if node.grad is None else node.grad + grad
