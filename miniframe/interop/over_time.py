"""Convolution and pooling along time to PyTorch and back, where sequences are (N, C, T) instead of (N, T, C).

Only these layers have time last in PyTorch. A model that goes over to others, recurrent ones or attention, would have
to turn its sequences in between, which neither layer does; so such a model is refused instead of being wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers as mf
from ..core.module import Module

POOLS = {mf.MaxPool1d: "MaxPool1d", mf.AvgPool1d: "AvgPool1d"}
GLOBAL = {mf.GlobalAvgPool1d: "AdaptiveAvgPool1d", mf.GlobalMaxPool1d: "AdaptiveMaxPool1d"}
TIME_LAST = (mf.Conv1d, *POOLS, *GLOBAL)  # in PyTorch
TURNED_EITHER_WAY = (  # what treats every number, or every channel, alike
    mf.ReLU, mf.LeakyReLU, mf.PReLU, mf.ELU, mf.GELU, mf.SiLU, mf.Sigmoid, mf.Tanh, mf.Softplus, mf.Identity,
    mf.Dropout, mf.BatchNorm, mf.GroupNorm,
)  # fmt: skip


def check_time_axis(model: Module, where: str) -> None:
    """Raise for a model whose layers would have time on different axes in PyTorch.

    Raises:
        ValueError: naming both layers.
    """
    if (problem := time_axis_problem(model)) is not None:
        raise ValueError(f"{where}: {problem}")


def time_axis_problem(model: Module) -> str | None:
    """Which two layers would have time on different axes in PyTorch, in words; None if all is well."""
    if not any(isinstance(module, TIME_LAST) for module in model.modules()):
        return None
    before, last = None, False  # the latest layer that tells, and whether PyTorch has time last there
    for path, module in model.named_modules():
        if isinstance(module, TURNED_EITHER_WAY) or any(isinstance(inner, Module) for _, inner in module.children()):
            continue
        if isinstance(module, mf.Flatten):
            before = None
            continue
        here = isinstance(module, TIME_LAST)
        if before is not None and here is not last:
            first, second = ("(N, C, T)", "(N, T, C)") if last else ("(N, T, C)", "(N, C, T)")
            return (
                f"{before} has {first} in PyTorch and {path or 'the model'}, {module.title()}, has {second}; "
                "convert the parts before and after on their own, and turn the sequences in between"
            )
        before, last = f"{path}, {module.title()},", here
        if type(module) in GLOBAL:
            before = None
    return None


def _checked(make: Callable[[Any], Module], **expected: Any) -> Callable[[Any], Module]:
    """A layer for a PyTorch module whose other options have these values."""

    def convert(m: Any) -> Module:
        for option, value in expected.items():
            if getattr(m, option) != value:
                raise ValueError(f"from_torch: {m} has {option}={getattr(m, option)!r}; only {value!r} is known")
        return make(m)

    return convert


def _conv(m: Any) -> Module:
    padding = m.padding if isinstance(m.padding, str) else m.padding[0]
    settings = (m.kernel_size[0], m.stride[0], padding, m.dilation[0], m.groups, m.bias is not None)
    return mf.Conv1d(m.in_channels, m.out_channels, *settings)


def _torch_conv(layer: Any, nn: Any, image: bool) -> Any:
    (_, kernel), (_, stride), (_, (before, after)) = layer.window.kernel, layer.window.stride, layer.window.padding
    padding: Any = before
    if before != after:
        if layer.padding != "same":
            raise ValueError(f"to_torch: {layer.title()} pads its ends unevenly, which PyTorch's Conv1d cannot")
        padding = "same"
    return nn.Conv1d(
        layer.in_channels, layer.out_channels, kernel, stride, padding, layer.window.dilation[1], layer.groups,
        bias=layer.bias is not None,
    )  # fmt: skip


def _torch_pool(layer: Any, nn: Any, image: bool) -> Any:
    window = layer.window
    return getattr(nn, POOLS[type(layer)])(window.kernel[1], window.stride[1], window.padding[1][0])


def _torch_global(layer: Any, nn: Any, image: bool) -> Any:
    """PyTorch's pooling to a single step, without that step; by the name of our layer, which is the way back."""
    kind = getattr(nn, GLOBAL[type(layer)])
    return type(type(layer).__name__, (kind,), {"forward": lambda self, x: kind.forward(self, x)[:, :, 0]})(1)


OVER_TIME_FROM_TORCH: dict[str, Callable[[Any], Module]] = {
    "Conv1d": _checked(_conv, padding_mode="zeros"),
    "MaxPool1d": _checked(
        lambda m: mf.MaxPool1d(m.kernel_size, m.stride, m.padding),
        dilation=1, ceil_mode=False, return_indices=False,
    ),
    "AvgPool1d": _checked(
        lambda m: mf.AvgPool1d(m.kernel_size, m.stride, m.padding), ceil_mode=False, count_include_pad=True
    ),
    "GlobalAvgPool1d": lambda m: mf.GlobalAvgPool1d(),
    "GlobalMaxPool1d": lambda m: mf.GlobalMaxPool1d(),
}  # fmt: skip
OVER_TIME_TO_TORCH: dict[type, Callable[[Any, Any, bool], Any]] = {
    mf.Conv1d: _torch_conv,
    **dict.fromkeys(POOLS, _torch_pool),
    **dict.fromkeys(GLOBAL, _torch_global),
}
