"""A step in turn, as if it computed at once: the same numbers, of which fewer are in memory at a time.

MLX computes what a step asks for in an order of its own, and that is to go back to the first layer, and only then to
compute the gradients of weights. Until then every layer's gradient and input are in memory. In here the gradient of a
layer's input waits until those of its weights are computed, so that what belongs to a layer is freed once backward has
passed it. And GELU's derivative, which MLX would compute in backward, from more arrays, is computed in forward.
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
    modules = list(model.modules())
    changed = [(vars(m), "backward", waiting(m.backward, own)) for m in modules if (own := weights_of(m))]
    changed += [(vars(m), "forward", keeping_first(m)) for m in modules if type(m) is GELU]
    before: list[Any] = [attributes.get(name) for attributes, name, _ in changed]
    for attributes, name, function in changed:
        attributes[name] = function
    try:
        yield
    finally:
        for (attributes, name, _), function in zip(changed, before):
            attributes[name] = function
            if function is None:
                del attributes[name]


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


def keeping_first(module: Module) -> Callable[[mx.array], mx.array]:
    """A layer's forward, whose result is not computed before what it keeps for backward."""
    forward = module.forward

    def in_its_turn(x: mx.array) -> mx.array:
        y: mx.array = forward(x)
        return after([y], [module.saved])[0] if y.nbytes >= LARGE else y

    return in_its_turn
