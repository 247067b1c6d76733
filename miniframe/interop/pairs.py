"""Which layer here is which module of PyTorch, with what settings. Options that have no counterpart are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers as mf
from ..core.module import Module
from .activations import ACTIVATIONS_FROM_TORCH, ACTIVATIONS_TO_TORCH, only
from .over_time import OVER_TIME_FROM_TORCH, OVER_TIME_TO_TORCH
from .sequences import SEQUENCES_FROM_TORCH, SEQUENCES_TO_TORCH

FLOAT32_EPS = 2.0**-23  # what PyTorch's RMSNorm adds if it is told nothing


def _both(m: Any) -> None:
    if m.weight is not None and m.bias is None:
        raise ValueError(f"from_torch: {m} has a weight without a bias; only both or none are known")


def _conv(m: Any) -> Module:
    only(m, padding_mode="zeros")
    settings = (m.stride, m.padding, m.dilation, m.groups, m.bias is not None)
    return mf.Conv2d(m.in_channels, m.out_channels, m.kernel_size, *settings)


def _conv_transpose(m: Any) -> Module:
    only(m, padding_mode="zeros", groups=1)
    settings = (m.stride, m.padding, m.output_padding, m.dilation, m.bias is not None)
    return mf.ConvTranspose2d(m.in_channels, m.out_channels, m.kernel_size, *settings)


def _batch_norm(m: Any) -> Module:
    only(m, track_running_stats=True)
    if m.momentum is None:
        raise ValueError(f"from_torch: {m} has momentum=None, a cumulative mean; only a number is known")
    _both(m)
    return mf.BatchNorm(m.num_features, m.eps, m.momentum, m.affine)


def _group_norm(m: Any) -> Module:
    _both(m)
    return mf.GroupNorm(m.num_groups, m.num_channels, m.eps, m.affine)


def _layer_norm(m: Any) -> Module:
    shape = tuple(m.normalized_shape)
    shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape  # of an image: channels last
    return mf.LayerNorm(shape, m.eps, m.elementwise_affine, m.bias is not None)


def _instance_norm(m: Any) -> Module:
    only(m, track_running_stats=False)
    return mf.InstanceNorm(m.num_features, m.eps, m.affine)


def _rms_norm(m: Any) -> Module:
    if len(m.normalized_shape) != 1:
        raise ValueError(f"from_torch: {m} is over several axes; only the last one is known")
    eps = FLOAT32_EPS if m.eps is None else m.eps
    return mf.RMSNorm(m.normalized_shape[0], eps, m.elementwise_affine)


def _max_pool(m: Any) -> Module:
    only(m, dilation=1, return_indices=False)
    return mf.MaxPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode)


def _avg_pool(m: Any) -> Module:
    only(m, divisor_override=None)
    return mf.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad)


def _flatten(m: Any) -> Module:
    only(m, start_dim=1, end_dim=-1)
    return mf.Flatten()


def _upsample(m: Any) -> Module:
    only(m, size=None)
    if m.mode == "bilinear":
        only(m, align_corners=None if m.align_corners is None else False)
    factors = m.scale_factor if isinstance(m.scale_factor, tuple) else (m.scale_factor,) * 2
    if any(factor != int(factor) for factor in factors):
        raise ValueError(f"from_torch: {m} enlarges by a fraction; only whole factors are known")
    return mf.Upsample2d((int(factors[0]), int(factors[1])), m.mode)


def _recurrent(make: Callable[..., Module]) -> Callable[[Any], Module]:
    """PyTorch's second result, the last state, is left out; what ``to_torch`` made says which output it gives."""

    def convert(m: Any) -> Module:
        only(m, batch_first=True, proj_size=0)
        options = {"nonlinearity": m.nonlinearity} if make is mf.RNN else {}
        return make(
            m.input_size, m.hidden_size, m.num_layers, bias=m.bias, bidirectional=m.bidirectional, dropout=m.dropout,
            return_sequences=getattr(m, "return_sequences", True), **options,
        )  # fmt: skip

    return convert


FROM_TORCH: dict[str, Callable[[Any], Module]] = {
    "Linear": lambda m: mf.Linear(m.in_features, m.out_features, m.bias is not None),
    "Conv2d": _conv,
    "ConvTranspose2d": _conv_transpose,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "InstanceNorm2d": _instance_norm,
    "RMSNorm": _rms_norm,
    "MaxPool2d": _max_pool,
    "AvgPool2d": _avg_pool,
    "AdaptiveAvgPool2d": lambda m: mf.AdaptiveAvgPool2d(m.output_size),
    "Upsample": _upsample,
    "ZeroPad2d": lambda m: mf.ZeroPad2d(m.padding),
    "Flatten": _flatten,
    **ACTIVATIONS_FROM_TORCH,
    **SEQUENCES_FROM_TORCH,
    **OVER_TIME_FROM_TORCH,
    **{make.__name__: _recurrent(make) for make in (mf.RNN, mf.GRU, mf.LSTM)},
}


def layer_to_torch(layer: Any, nn: Any, image: bool) -> Any:
    """The PyTorch module for a layer, with weights of its own; None if there is none.

    Args:
        nn: the module ``torch.nn``.
        image: whether the layer's input has rows and columns.
    """
    make = TO_TORCH.get(type(layer))
    return None if make is None else make(layer, nn, image)


def _sides(window: Any) -> tuple[Any, Any]:
    """Padding as PyTorch's layers take it, and what ZeroPad2d must add before where the sides differ."""
    (top, bottom), (left, right) = window.padding
    even = top == bottom and left == right
    return ((top, left), None) if even else ((0, 0), (left, right, top, bottom))


def _torch_conv(layer: Any, nn: Any, image: bool) -> Any:
    window = layer.window
    padding, uneven = _sides(window)
    if uneven is not None:
        if layer.padding != "same" or window.stride != (1, 1):
            raise ValueError(f"to_torch: {layer.title()} pads its sides unevenly, which PyTorch's Conv2d cannot")
        padding = "same"
    return nn.Conv2d(
        layer.in_channels, layer.out_channels, window.kernel, window.stride, padding, window.dilation, layer.groups,
        bias=layer.bias is not None,
    )  # fmt: skip


def _torch_conv_transpose(layer: Any, nn: Any, image: bool) -> Any:
    window = layer.window
    return nn.ConvTranspose2d(
        layer.in_channels, layer.out_channels, window.kernel, window.stride, _sides(window)[0], layer.output_padding,
        dilation=window.dilation, bias=layer.bias is not None,
    )  # fmt: skip


def _torch_batch_norm(layer: Any, nn: Any, image: bool) -> Any:
    kind = nn.BatchNorm2d if image else nn.BatchNorm1d
    return kind(layer.num_features, layer.eps, layer.momentum, affine=layer.weight is not None)


def _torch_layer_norm(layer: Any, nn: Any, image: bool) -> Any:
    shape = layer.normalized_shape
    shape = (shape[2], *shape[:2]) if len(shape) == 3 else shape
    if image and len(shape) != 3:
        raise ValueError(f"to_torch: {layer.title()} over the channels of an image has no counterpart")
    return nn.LayerNorm(shape, layer.eps, layer.weight is not None, layer.bias is not None)


def _torch_instance_norm(layer: Any, nn: Any, image: bool) -> Any:
    if not image:
        raise ValueError(f"to_torch: {layer.title()} over a sequence has no counterpart, but over images")
    return nn.InstanceNorm2d(layer.num_features, layer.eps, affine=layer.weight is not None)


def _torch_rms_norm(layer: Any, nn: Any, image: bool) -> Any:
    if image:
        raise ValueError(f"to_torch: {layer.title()} over the channels of an image has no counterpart")
    return nn.RMSNorm(layer.num_features, layer.eps, layer.weight is not None)


def _torch_pool(name: str, *options: str) -> Callable[[Any, Any, bool], Any]:
    return lambda l, nn, _: getattr(nn, name)(
        l.window.kernel, l.window.stride, _sides(l.window)[0], **{option: getattr(l, option) for option in options}
    )


def _torch_recurrent(layer: Any, nn: Any, image: bool) -> Any:
    """PyTorch's layer, but for what it takes and returns: the output, which the next layer of a Sequential can take,
    and states only where ours does, with the batch in front."""
    kind = getattr(nn, type(layer).__name__)

    def forward(self: Any, x: Any, *given: Any) -> Any:
        state = tuple(part.transpose(0, 1).contiguous() for part in given)
        y, last = kind.forward(self, x, *((state if len(state) > 1 else state[0],) if state else ()))
        last = last if isinstance(last, tuple) else (last,)
        y = y if self.return_sequences else last[0][-layer.directions :].transpose(0, 1).flatten(1)
        return (y, *(part.transpose(0, 1) for part in last)) if self.return_state else y

    options = {"nonlinearity": layer.nonlinearity} if type(layer) is mf.RNN else {}
    result = type(kind.__name__, (kind,), {"forward": forward})(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.biased, batch_first=True,
        bidirectional=layer.directions == 2, dropout=layer.dropout, **options,
    )  # fmt: skip
    result.return_sequences, result.return_state = layer.return_sequences, layer.return_state
    return result


TO_TORCH: dict[type, Callable[[Any, Any, bool], Any]] = {
    mf.Linear: lambda l, nn, _: nn.Linear(l.in_features, l.out_features, l.bias is not None),
    mf.Conv2d: _torch_conv,
    mf.ConvTranspose2d: _torch_conv_transpose,
    mf.BatchNorm: _torch_batch_norm,
    mf.LayerNorm: _torch_layer_norm,
    mf.GroupNorm: lambda l, nn, _: nn.GroupNorm(l.num_groups, l.num_channels, l.eps, l.weight is not None),
    mf.InstanceNorm: _torch_instance_norm,
    mf.RMSNorm: _torch_rms_norm,
    mf.MaxPool2d: _torch_pool("MaxPool2d", "ceil_mode"),
    mf.AvgPool2d: _torch_pool("AvgPool2d", "ceil_mode", "count_include_pad"),
    mf.AdaptiveAvgPool2d: lambda l, nn, _: nn.AdaptiveAvgPool2d(l.output_size),
    mf.GlobalAvgPool2d: lambda l, nn, _: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    mf.Upsample2d: lambda l, nn, _: nn.Upsample(scale_factor=l.scale, mode=l.mode),
    mf.ZeroPad2d: lambda l, nn, _: nn.ZeroPad2d((l.left, l.right, l.top, l.bottom)),
    mf.Flatten: lambda l, nn, _: nn.Flatten(),
    **ACTIVATIONS_TO_TORCH,
    **SEQUENCES_TO_TORCH,
    **OVER_TIME_TO_TORCH,
    **dict.fromkeys((mf.RNN, mf.GRU, mf.LSTM), _torch_recurrent),
}
