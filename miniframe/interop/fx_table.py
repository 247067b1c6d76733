"""What the tables of calls and the builder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.cells import Parameter
from ..core.module import Module
from ..core.node import Node
from .fx_trace import Seen
from .fx_values import Mover, Order, Value, channels_last

Call = Callable[..., Any]  # (builder, the arguments of PyTorch's function) -> values


class Builder(Mover):
    """What a call may ask for while it is made here.

    Attributes:
        seen: what PyTorch's call gives: a Seen, or a tuple of them.
        tensors: PyTorch's parameters by name.
        layers: what has been made, by any key.
        owners: the paths of modules whose parameters a layer has been made of.
        renamed: PyTorch's name for parameters that have another one here.
    """

    seen: Any
    tensors: dict[str, Any]
    layers: dict[Any, Module]
    owners: set[str]
    renamed: dict[str, str]

    def cell(self, tensor: Any) -> Parameter:
        raise NotImplementedError

    def layer_of(self, module: Any, path: str, settings: Any = None) -> Module:
        raise NotImplementedError

    def batch(self) -> Node:
        raise NotImplementedError

    def result(self, node: Node, order: Order, channel: int | None = None, seen: Seen | None = None) -> Value:
        """The value of a call, whose shape is what PyTorch's call gave, unless told."""
        return Value(node, self.seen if seen is None else seen, order, channel)

    def alike(self, layer: Module, value: Value, kind: str) -> Value:
        """A layer that treats all numbers alike, and so can be called in any order of axes."""
        return self.result(self.named(layer, kind)(value.node), value.order, value.channel)

    def on_channels(self, layer: Module, value: Value) -> Value:
        """A layer that has the channels last here, where PyTorch has them after the batch."""
        value = self.ordered(value, channels_last(value.ndim))
        channel = 1 if value.ndim > 2 else value.channel
        return self.result(layer(value.node), channels_last(len(self.seen.shape)), channel)
