"""Errors that a backward raises, in words that name the layer, the parameter and the likely cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple, is_floating
from ..core.cells import Parameter
from ..core.module import Module


class UnfitGradient(ValueError):
    """What a backward returned cannot be a gradient: not an array, of another shape, or too few of them."""


def unfit(grads: Any, inputs: Sequence[Any], name: Callable[[int], str]) -> str:
    """Why what a backward returned cannot be the gradients of the inputs; empty where it can."""
    given = as_tuple(grads)
    if isinstance(grads, list) or len(given) != len(inputs):
        count = "1 gradient" if len(inputs) == 1 else f"a tuple of {len(inputs)} gradients, one for each input"
        got = f"a list of {len(grads)}" if isinstance(grads, list) else f"{len(given)}"
        return f"expected {count} from backward, got {got}"
    for index, (grad, x) in enumerate(zip(given, inputs)):
        if grad is None or not isinstance(x, mx.array) or not is_floating(x):
            continue
        if not isinstance(grad, mx.array):
            kind = f"{type(grad).__module__.split('.')[0]}.{type(grad).__name__}"
            return f"expected an mx.array from backward for {name(index)}, got {kind}; compute with mlx.core"
        if grad.shape != x.shape:
            return wrong_shape(name(index), x.shape, grad.shape)
    return ""


def wrong_shape(name: str, expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    """The words for a gradient of the wrong shape."""
    return f"expected a gradient of shape {expected} for {name}, got {got}{shape_words(expected, got)}"


def shape_words(expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    """What a gradient of the wrong shape suggests."""
    if got == expected[::-1]:
        return "; transposed?"
    if len(got) > len(expected) and got[len(got) - len(expected) :] == expected:
        return "; the sum over the batch is missing?"
    if len(got) < len(expected):
        return "; summed over too many axes?"
    return ""


def name_the_layer(module: Module, error: BaseException) -> str:
    """The error's words, with the layer whose backward raised it and the parameter that refused its gradient."""
    paths = {id(inner): path for path, inner in module.named_modules()}
    parameters = {id(p): name for name, p in module.named_parameters()}
    layer, words = "", str(error)
    trace = error.__traceback__
    while trace is not None:
        local: dict[str, Any] = trace.tb_frame.f_locals
        actor: Any = local.get("self")
        if id(actor) in paths and trace.tb_frame.f_code.co_name == "backward":
            path = paths[id(actor)]
            layer = f"layer {path}, {actor.title()}, " if path else ""
        if isinstance(actor, Parameter) and id(actor) in parameters:
            hint = shape_words(actor.shape, local["grad"].shape)
            words = f"{parameters[id(actor)]}: {words.split(': ', 1)[1].removesuffix(' (transposed?)')}{hint}"
        trace = trace.tb_next
    return f"{layer}backward failed: {words}" + ("; transposed?" if "matmul" in words else "")
