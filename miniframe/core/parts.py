"""Layers that nobody writes down: one output of a layer with several, and a parameter in an expression.

A model's forward may use its own parameters, as in ``self.scale * x``, and needs no backward for it: a parameter that
meets a node becomes a node itself, the call of a tiny layer whose backward adds to the parameter's gradient.
"""

from __future__ import annotations

import sys
from typing import Any

import mlx.core as mx
import numpy as np

from .cells import Parameter
from .module import Module
from .node import Node, NotRecorded
from .tape import call_on_nodes, flattened, this_thread
from .teach import teach


class Part(Module):
    """Output number ``index`` of a layer with several. Its gradient goes to that place; the others get none."""

    def __init__(self, index: int) -> None:
        self.index = index

    def settings(self) -> str:
        return str(self.index)

    def __call__(self, outputs: Any) -> Any:
        return outputs[self.index] if isinstance(outputs, tuple) else super().__call__(outputs)

    def forward(self, outputs: tuple[mx.array, ...]) -> mx.array:
        self.saved = len(outputs)
        return outputs[self.index]

    def backward(self, grad_output: mx.array) -> tuple[tuple[mx.array | None, ...]]:
        count = self.saved
        return (tuple(grad_output if index == self.index else None for index in range(count)),)


class Learned(Module):
    """z = p, a parameter that the model's forward uses itself. dp = dz, added to the parameter's gradient.

    >>> p = Parameter(mx.array([2.0, 3.0]))
    >>> (p.node() * mx.array([10.0, 20.0])).sum().backward()
    >>> p.grad.tolist()
    [10.0, 20.0]
    """

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter

    def settings(self) -> str:
        return ", ".join(map(str, self.parameter.shape))

    def __call__(self, *nothing: Any) -> Any:
        return call_on_nodes(self, ())

    def forward(self) -> mx.array:
        self.saved = ()
        return self.parameter.value

    def backward(self, grad_output: mx.array) -> tuple[()]:
        self.parameter.accumulate(grad_output)
        return ()

    def _collect(self, path: str, found: dict[int, tuple[str, Any]]) -> None:
        """The parameter has the path of its layer: a Graph lists "net.scale", not "net.scale.parameter"."""
        found.setdefault(id(self), (path, self))
        found.setdefault(id(self.parameter), (path or "parameter", self.parameter))


def part(module: Module, index: int) -> Module:
    """The layer that takes output number ``index`` out of the tuple that this one returns."""
    return Part(index)


def node(parameter: Parameter) -> Node:
    """A node that stands for the parameter; the gradient that reaches it is added to the parameter's."""
    for module in this_thread.tape.scope:
        if not module._uses_parameters:
            module._uses_parameters = True
    found: Node = Learned(parameter)()
    return found


def operand(parameter: Parameter) -> Any:
    """What a layer called on the parameter computes with: a node in a forward that is recorded, else the value."""
    return parameter.node() if _composing(calls=1) else parameter.value


def _composing(calls: int = 0) -> bool:
    """Whether the code that is running stands in a forward that is being recorded, and not in a layer called there.

    Args:
        calls: how many calls of layers to overlook: 1 for the layer that asks on its own behalf.
    """
    frame = sys._getframe(1) if this_thread.tape.scope else None
    while frame is not None:
        code = frame.f_code
        if code is flattened.__code__:
            return True
        if code is call_on_nodes.__code__:
            return False
        if code is Module.__call__.__code__:
            calls -= 1
            if calls < 0:
                return False
        frame = frame.f_back
    return False


def __mlx_array__(parameter: Parameter) -> mx.array:
    """The value, for MLX's functions; an error in a forward that is recorded: its gradient would be lost."""
    if _composing():
        raise NotRecorded(f"{parameter!r}: its gradient would be lost in a function that is not miniframe's own")
    return parameter.value


def __array__(parameter: Parameter, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The value, for NumPy: ``np.asarray(parameter)``; an error in a forward that is being recorded."""
    if _composing():
        raise NotRecorded(f"{parameter!r}: its gradient would be lost in NumPy")
    return np.array(parameter.value, dtype=dtype)


def __array_function__(parameter: Parameter, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's functions compute with the value: ``np.sum(parameter)``."""

    def plain(given: Any) -> Any:
        if isinstance(given, (list, tuple)):
            return type(given)(map(plain, given))
        return np.asarray(given) if isinstance(given, Parameter) else given

    return function(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})


teach(Module, part)
teach(
    Parameter, node, operand, __mlx_array__, __array__, __array_function__,
    dtype=property(lambda parameter: parameter.value.dtype, doc="The type of the numbers."),
    ndim=property(lambda parameter: parameter.value.ndim, doc="How many axes there are."),
)  # fmt: skip
