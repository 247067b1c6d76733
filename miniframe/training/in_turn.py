"""Backward in turn: a layer's own gradients first, then those of the layers below it.

MLX computes what a step asks for in an order of its own, and that is to go back to the first layer, and only then to
compute the gradients of weights. Until then every layer's gradient and input are in memory. In here the gradient of a
layer's input waits until those of its weights are computed, so that what belongs to a layer is freed once backward has
passed it, as in a loop that computes at once. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple
from ..core.cells import Parameter
from ..core.module import Module
from ..layers.later import after

LARGE = 2**19  # bytes of a gradient, from which on it pays that it waits


@contextmanager
def in_turn(model: Module) -> Iterator[None]:
    """Inside, every layer of the model that has weights of its own computes their gradients in its turn."""
    layers = [(vars(module), module.backward, own) for module in model.modules() if (own := weights_of(module))]
    before: list[Any] = [attributes.get("backward") for attributes, _, _ in layers]
    for attributes, backward, parameters in layers:
        attributes["backward"] = waiting(backward, parameters)
    try:
        yield
    finally:
        for (attributes, _, _), backward in zip(layers, before):
            attributes["backward"] = backward
            if backward is None:
                del attributes["backward"]


def weights_of(module: Module) -> list[Parameter]:
    """The parameters that belong to a module itself."""
    return [cell for _, cell in module.children() if isinstance(cell, Parameter)]


def waiting(backward: Callable[[Any], Any], parameters: list[Parameter]) -> Callable[[Any], Any]:
    """A layer's backward, whose result is not computed before the gradients of these parameters."""

    def in_its_turn(grad_output: Any) -> Any:
        passed = backward(grad_output)
        grads = [p.grad for p in parameters if p.grad is not None]
        arrays = [part for part in as_tuple(passed) if isinstance(part, mx.array)]
        if not grads or sum(part.nbytes for part in arrays) < LARGE:
            return passed
        later = iter(after(arrays, grads))
        parts = [next(later) if isinstance(part, mx.array) else part for part in as_tuple(passed)]
        return tuple(parts) if isinstance(passed, tuple) else parts[0]

    return in_its_turn
