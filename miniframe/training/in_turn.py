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
from ..layers.later import after, after_weights

LARGE = 2**19  # bytes of an array, from which on it pays that it waits


@contextmanager
def in_turn(model: Module) -> Iterator[None]:
    """Inside, every layer of the model that has weights of its own computes their gradients in its turn."""
    wrapped: list[tuple[dict[str, Any], str, Any]] = []
    for module in model.modules():
        attributes, own = vars(module), [cell for _, cell in module.children() if isinstance(cell, Parameter)]
        if own and "backward" not in attributes:  # it may be a user's own, or another thread is in here, too
            wrapped.append((attributes, "backward", WeightsFirst(module.backward, own)))
        if type(module) is GELU and "forward" not in attributes:
            wrapped.append((attributes, "forward", KeptFirst(module)))
    for attributes, name, function in wrapped:
        attributes[name] = function
    try:
        yield
    finally:
        for attributes, name, function in wrapped:
            if attributes.get(name) is function:
                del attributes[name]


class WeightsFirst:
    """A layer's backward, whose result is not computed before the gradients of its weights.

    An object, not a function, because a copy of the model that is made meanwhile has to have one of its own.
    """

    def __init__(self, backward: Callable[[Any], Any], weights: list[Parameter]) -> None:
        self.backward, self.weights = backward, weights

    def __call__(self, grad_output: Any) -> Any:
        passed = self.backward(grad_output)
        size = sum(part.nbytes for part in as_tuple(passed) if isinstance(part, mx.array))
        return after_weights(passed, self.weights) if size >= LARGE else passed


class KeptFirst:
    """A layer's forward, whose result is not computed before what the layer keeps for backward."""

    def __init__(self, layer: Module) -> None:
        self.layer, self.forward = layer, layer.forward

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.forward(x)
        return after([y], [self.layer.saved])[0] if y.nbytes >= LARGE else y
