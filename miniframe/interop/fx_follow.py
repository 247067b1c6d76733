"""Following a module's code with torch.fx, and what that needs: inputs, where none are given, and something around."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .fx_trace import IN_PLACE, flat, is_leaf, left_out

WHOLE = "layer"  # the name of a module that is known as a whole and has nothing around it


def held(module: Any, count: int) -> Any:
    """A module that only calls this one, with so many inputs, because torch.fx looks into the outermost one."""
    import torch

    forwards: dict[int, Callable[..., Any]] = {  # because torch.fx asks for the inputs one by one
        1: lambda self, x: self.layer(x),
        2: lambda self, x1, x2: self.layer(x1, x2),
        3: lambda self, x1, x2, x3: self.layer(x1, x2, x3),
        4: lambda self, x1, x2, x3, x4: self.layer(x1, x2, x3, x4),
    }
    if count not in forwards:
        raise ValueError(f"from_torch: a {type(module).__name__} alone takes up to {len(forwards)} inputs, got {count}")
    holder = type(type(module).__name__, (torch.nn.Module,), {"forward": forwards[count]})()
    holder.add_module(WHOLE, module)
    holder.holds_one = True
    return holder.train(module.training)


IMAGES = (96, 224, 32, 28, 64, 299)  # sizes to try, the first of which most networks take and are quick with


def calls_of(module: Any, given: int) -> Any:
    """The calls of a module as torch.fx lists them.

    Args:
        given: how many inputs it will be given; the others have what they are by default.

    Raises:
        ValueError: where torch.fx cannot follow the module's code.
    """
    import torch.fx

    def in_place(function: Any) -> Any:
        return lambda x, other: x.tracer.create_proxy("call_function", function, (x, other), {})

    augmented = {f"__{name}__": in_place(getattr(operator, name)) for name in IN_PLACE}  # to torch.fx: x + y
    Proxy = type("Proxy", (torch.fx.Proxy,), augmented)

    class Tracer(torch.fx.Tracer):
        proxy_buffer_attributes = True  # so that they may be cut to the length of a sequence

        def is_leaf_module(self, inner: Any, name: str) -> bool:
            return is_leaf(inner) or super().is_leaf_module(inner, name)

        def proxy(self, node: Any) -> Any:
            return Proxy(node, self)

    try:
        with _sizes_followed():
            return Tracer().trace(module, left_out(module, given))
    except Exception as error:
        name = type(module).__name__
        hint = "; write torch.where or torch.cat in place of x[...] = y" if "item assignment" in str(error) else ""
        raise ValueError(f"from_torch: torch.fx cannot follow the code of {name}: {error}{hint}") from error


FACTORIES = "zeros", "ones", "full", "empty", "arange", "eye", "linspace"


@contextmanager
def _sizes_followed() -> Iterator[None]:
    """Inside, tensors that are made in a size which torch.fx does not know yet become calls, too."""
    import torch
    import torch.fx

    def followed(make: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            unknown = [part for part in flat((args, tuple(options.values()))) if isinstance(part, torch.fx.Proxy)]
            if not unknown:
                return make(*args, **options)
            return unknown[0].tracer.create_proxy("call_function", make, args, options)

        return call

    before = {name: getattr(torch, name) for name in FACTORIES}
    try:
        for name, make in before.items():
            setattr(torch, name, followed(make))
        yield
    finally:
        for name, make in before.items():
            setattr(torch, name, make)


def made_up(module: Any) -> Iterator[tuple[Any, ...]]:
    """Examples to try where none is given: images, rows or words, as the first layer that tells wants them."""
    import torch

    makers: dict[str, Callable[[Any], list[Any]]] = {
        "Conv2d": lambda m: [torch.randn(2, m.in_channels, size, size) for size in IMAGES],
        "BatchNorm2d": lambda m: [torch.randn(2, m.num_features, size, size) for size in IMAGES],
        "Conv1d": lambda m: [torch.randn(2, m.in_channels, size) for size in (64, 256, 1024)],
        "Linear": lambda m: [torch.randn(2, m.in_features), torch.randn(2, 7, m.in_features)],
        "Embedding": lambda m: [torch.zeros(2, size, dtype=torch.long) for size in (7, 1)],
    }
    for kind in ("RNN", "GRU", "LSTM"):
        makers[kind] = lambda m: [torch.randn(2, 7, m.input_size)]
    for inner in module.modules():
        if hasattr(inner, "holds_one"):
            continue
        if (make := makers.get(type(inner).__name__)) is not None:
            yield from ((example,) for example in make(inner))
            return
