"""What torch.fx needs before it can look: inputs, where none are given, and something around a module that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

WHOLE = "whole"  # the name, never shown, of a module that is known as a whole and has nothing around it


def held(module: Any, count: int) -> Any:
    """A module that only calls this one, with so many inputs, because torch.fx looks into the outermost one."""
    import torch

    forwards: dict[int, Callable[..., Any]] = {  # because torch.fx asks for the inputs one by one
        1: lambda self, x: self.whole(x),
        2: lambda self, x1, x2: self.whole(x1, x2),
        3: lambda self, x1, x2, x3: self.whole(x1, x2, x3),
        4: lambda self, x1, x2, x3, x4: self.whole(x1, x2, x3, x4),
    }
    if count not in forwards:
        raise ValueError(f"from_torch: a {type(module).__name__} alone takes up to {len(forwards)} inputs, got {count}")
    holder = type(type(module).__name__, (torch.nn.Module,), {"forward": forwards[count]})()
    holder.add_module(WHOLE, module)
    return holder.train(module.training)


IMAGES = (96, 224, 32, 28, 64, 299)  # sizes to try, the first of which most networks take and are quick with


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
        if (make := makers.get(type(inner).__name__)) is not None:
            yield from ((example,) for example in make(inner))
            return
