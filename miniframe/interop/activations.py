"""Which activations, and other layers without a window or a matrix, are which modules of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers as mf
from ..core.module import Module

SAME = ("Identity", "ReLU", "ReLU6", "Hardsigmoid", "Hardswish", "Sigmoid", "Tanh", "SiLU")  # name and numbers alike


def only(module: Any, **expected: Any) -> None:
    """Raise unless these options of a PyTorch module have these values."""
    for option, value in expected.items():
        if getattr(module, option, value) != value:
            raise ValueError(f"from_torch: {module} has {option}={getattr(module, option)!r}; only {value!r} is known")


def _softmax(make: Callable[..., Module]) -> Callable[[Any], Module]:
    def convert(m: Any) -> Module:
        if m.dim not in (1, -1):
            raise ValueError(f"from_torch: {m} has dim={m.dim}; only 1 and -1, the classes, are known")
        return make(axis=-1)

    return convert


def _checked(make: Callable[[], Module], **expected: Any) -> Callable[[Any], Module]:
    """A layer for a module whose options have these values."""

    def convert(m: Any) -> Module:
        only(m, **expected)
        return make()

    return convert


def _same(name: str) -> Callable[[Any], Module]:
    return lambda m: getattr(mf, name)()


ACTIVATIONS_FROM_TORCH: dict[str, Callable[[Any], Module]] = {
    **{name: _same(name) for name in SAME},
    "Dropout": lambda m: mf.Dropout(m.p),
    "LeakyReLU": lambda m: mf.LeakyReLU(m.negative_slope),
    "PReLU": lambda m: mf.PReLU(m.num_parameters),
    "ELU": lambda m: mf.ELU(m.alpha),
    "Softplus": _checked(mf.Softplus, beta=1),
    "GELU": lambda m: mf.GELU(m.approximate),
    "Softmax": _softmax(mf.Softmax),
    "LogSoftmax": _softmax(mf.LogSoftmax),
    "StochasticDepth": lambda m: mf.StochasticDepth(m.p, m.mode),  # torchvision's
    "LayerScale": lambda m: mf.LayerScale(m.weight.numel()),  # what to_torch makes
    "ChannelShuffle": lambda m: mf.ChannelShuffle(m.groups),
}

# -------------------------------------------------------------------- to PyTorch


def _torch_softmax(name: str) -> Callable[[Any, Any, bool], Any]:
    return lambda l, nn, image: getattr(nn, name)(dim=1 if image and l.axis in (-1, 3) else l.axis)


def _torch_shuffle(layer: Any, nn: Any, image: bool) -> Any:
    if not image:
        raise ValueError(f"to_torch: {layer.title()} over a sequence has no counterpart, but over images")
    return nn.ChannelShuffle(layer.groups)


def _torch_scale(layer: Any, nn: Any, image: bool) -> Any:
    """A module with the same weight, which PyTorch has inside its models only."""

    class LayerScale(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return x * (self.weight[:, None, None] if image else self.weight)

    module = LayerScale()
    module.weight = nn.Parameter(nn.Linear(1, layer.num_features).bias.detach().clone())
    return module


def _torch_depth(layer: Any, nn: Any, image: bool) -> Any:
    """A module that drops samples as the layer does, under the names that torchvision's has."""

    class StochasticDepth(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            if not self.training or self.p == 0:
                return x
            shape = [len(x) if self.mode == "row" else 1] + [1] * (x.ndim - 1)
            return x * x.new_empty(shape).bernoulli_(1 - self.p) / (1 - self.p)

    module = StochasticDepth()
    module.p, module.mode = layer.p, layer.mode
    return module


ACTIVATIONS_TO_TORCH: dict[type, Callable[[Any, Any, bool], Any]] = {
    **{getattr(mf, name): lambda l, nn, _: getattr(nn, type(l).__name__)() for name in SAME},
    mf.Dropout: lambda l, nn, _: nn.Dropout(l.p),
    mf.LeakyReLU: lambda l, nn, _: nn.LeakyReLU(l.slope),
    mf.PReLU: lambda l, nn, _: nn.PReLU(l.num_parameters),
    mf.ELU: lambda l, nn, _: nn.ELU(l.alpha),
    mf.Softplus: lambda l, nn, _: nn.Softplus(),
    mf.GELU: lambda l, nn, _: nn.GELU(l.approximate),
    mf.Softmax: _torch_softmax("Softmax"),
    mf.LogSoftmax: _torch_softmax("LogSoftmax"),
    mf.StochasticDepth: _torch_depth,
    mf.LayerScale: _torch_scale,
    mf.ChannelShuffle: _torch_shuffle,
}
