"""A step in turn, as if it computed at once: the same numbers, of which fewer are in memory at a time.

MLX computes what a step asks for in an order of its own, and that is to go back to the first layer, and only then to
compute the gradients of weights. Until then every layer's gradient and input are in memory. In here the gradient of a
layer's input waits until those of its weights are computed, so that what belongs to a layer is freed once backward has
passed it. And GELU's derivative, which MLX would compute in backward, from more arrays, is computed in forward. Only a
step that is traced, to be compiled, is put in order: a user's code that runs in another finds the layers as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple
from ..core.cells import Parameter
from ..core.module import Module
from ..layers.activations import GELU
from ..layers.later import after

LARGE = 2**19  # bytes of an array, from which on it pays that it waits


@contextmanager
def in_turn(model: Module) -> Iterator[None]:
    """Inside, every layer of the model that has weights of its own computes their gradients in its turn."""
    wrapped: list[tuple[Any, str, Any, Any]] = []
    for module in model.modules():
        attributes, own = vars(module), [cell for _, cell in module.children() if isinstance(cell, Parameter)]
        if own and type(attributes.get("backward")) is not WeightsFirst:  # it is, where another thread is in here
            wrapped.append((attributes, "backward", attributes.get("backward"), WeightsFirst(module.backward, own)))
        if type(module) is GELU and "forward" not in attributes:
            wrapped.append((attributes, "forward", None, KeptFirst(module)))
    for attributes, name, _, function in wrapped:
        attributes[name] = function
    try:
        yield
    finally:
        for attributes, name, before, function in wrapped:
            if attributes.get(name) is function:
                attributes[name] = before
                if before is None:
                    del attributes[name]


class WeightsFirst:
    """A layer's backward, whose result is not computed before the gradients of its weights.

    An object, not a function, because a copy of the model that is made meanwhile has to have one of its own.
    """

    def __init__(self, backward: Callable[[Any], Any], weights: list[Parameter]) -> None:
        self.backward, self.weights = backward, weights

    def __call__(self, grad_output: Any) -> Any:
        passed = self.backward(grad_output)
        grads = [p.grad for p in self.weights if p.grad is not None]
        arrays = [part for part in as_tuple(passed) if isinstance(part, mx.array)]
        if not grads or sum(part.nbytes for part in arrays) < LARGE:
            return passed
        later = iter(after(arrays, grads))
        parts = [next(later) if isinstance(part, mx.array) else part for part in as_tuple(passed)]
        return tuple(parts) if isinstance(passed, tuple) else parts[0]


class KeptFirst:
    """A layer's forward, whose result is not computed before what the layer keeps for backward."""

    def __init__(self, layer: Module) -> None:
        self.layer, self.forward = layer, layer.forward

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.forward(x)
        return after([y], [self.layer.saved])[0] if y.nbytes >= LARGE else y
