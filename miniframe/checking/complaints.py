"""Errors that a backward raises, in words that name the layer, the parameter and the likely cause."""

from __future__ import annotations

from typing import Any

from ..core.cells import Parameter
from ..core.module import Module


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
