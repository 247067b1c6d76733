"""PyTorch's counterparts of layers for images and rows, of recurrent layers, and of operations on shapes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor

COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
Own = dict[str, Any]  # the layer's parameters as tensors


def functions() -> dict[str, Callable[..., Any]]:
    """(layer, its parameters, inputs) -> output, by class name."""
    import torch
    import torch.nn.functional as F

    return {
        "Conv2d": _convolution,
        "ConvTranspose2d": _transposed_convolution,
        "Conv1d": _convolution_1d,
        "MaxPool2d": _max_pool,
        "AvgPool2d": _avg_pool,
        "MaxPool1d": lambda layer, own, x: _max_pool(layer, own, x[:, None])[:, 0],
        "AvgPool1d": lambda layer, own, x: _avg_pool(layer, own, x[:, None])[:, 0],
        "GlobalAvgPool1d": lambda layer, own, x: x.mean(dim=1),
        "GlobalMaxPool1d": lambda layer, own, x: x.amax(dim=1),
        "AdaptiveAvgPool2d": _adaptive_pool,
        "Upsample2d": _upsampled,
        "ZeroPad2d": _padded,
        "ReLU6": lambda layer, own, x: F.relu6(x),
        "Hardsigmoid": lambda layer, own, x: F.hardsigmoid(x),
        "Hardswish": lambda layer, own, x: F.hardswish(x),
        "LayerScale": lambda layer, own, x: x * own["weight"],
        "StochasticDepth": lambda layer, own, x: x * 1,
        "ChannelShuffle": lambda layer, own, x: F.channel_shuffle(_first(x), layer.groups).movedim(1, -1),
        "BatchNorm": _batch_norm,
        "GroupNorm": _group_norm,
        "Standardize": lambda layer, own, x: (x - _constant(layer.mean, x)) / _constant(layer.std, x),
        "GaussianSample": _sampled,
        "RNN": _recurrent,
        "GRU": _recurrent,
        "LSTM": _recurrent,
        "Part": lambda layer, own, *parts: parts[0][layer.index],
        "Split": lambda layer, own, x: torch.tensor_split(x, layer.sections, dim=layer.axis),
        "Sum": lambda layer, own, x: _reduced(torch.sum, layer, x),
        "Mean": lambda layer, own, x: _reduced(torch.mean, layer, x),
        "Max": lambda layer, own, x: _reduced(torch.amax, layer, x),
        "Min": lambda layer, own, x: _reduced(torch.amin, layer, x),
        "Clip": lambda layer, own, x: torch.clamp(x, layer.low, layer.high),
        "AsType": lambda layer, own, x: x.to(getattr(torch, str(layer.dtype).rpartition(".")[2])),
        "Squeeze": lambda layer, own, x: x.squeeze(layer.axis),
        "Unsqueeze": lambda layer, own, x: x.unsqueeze(layer.axis),
        "ReshapeTo": lambda layer, own, x: x.reshape(layer.shape),
        "Transpose": lambda layer, own, x: x.permute(layer.axes or tuple(reversed(range(x.ndim)))),
        "Concatenate": lambda layer, own, *parts: torch.cat(parts, dim=layer.axis),
        "ForEachSample": lambda layer, own, x, batch: x.expand(len(batch), *x.shape[1:]) + 0 * batch.sum(),
        "Stack": lambda layer, own, *parts: torch.stack(parts, dim=layer.axis),
        "Compare": lambda layer, own, x, y: COMPARED[layer.sign](x, y),
        "Where": lambda layer, own, condition, x, y: torch.where(condition != 0, x, y),
        "Maximum": lambda layer, own, x, y: torch.maximum(x, y),
        "Minimum": lambda layer, own, x, y: torch.minimum(x, y),
    }


def _constant(cell: Any, x: Tensor) -> Tensor:
    import numpy as np
    import torch

    return torch.tensor(np.array(cell.value)).to(x.dtype)


def _reduced(function: Callable[..., Any], layer: Any, x: Tensor) -> Any:
    axes = tuple(range(x.ndim)) if layer.axis is None else layer.axis
    return function(x, dim=axes, keepdim=layer.keepdims)


def _first(x: Tensor) -> Tensor:
    """Channels first."""
    return x.movedim(-1, 1)


def _edges(layer: Any) -> tuple[int, ...]:
    (top, bottom), (left, right) = layer.window.padding
    return left, right, top, bottom


def _convolution(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    window, weight = layer.window, _first(own["weight"])
    x = F.pad(_first(x), _edges(layer))
    return F.conv2d(x, weight, own.get("bias"), window.stride, 0, window.dilation, layer.groups).movedim(1, -1)


def _convolution_1d(layer: Any, own: Own, x: Tensor) -> Tensor:
    """That of images with a single row."""
    return _convolution(layer, {**own, "weight": own["weight"][:, None]}, x[:, None])[:, 0]


def _transposed_convolution(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    window = layer.window
    (rows, _), (columns, _) = window.padding
    weight = own["weight"].permute(3, 0, 1, 2)  # (O, KH, KW, C) -> (C, O, KH, KW)
    y = F.conv_transpose2d(
        _first(x), weight, own.get("bias"), window.stride, (rows, columns), layer.output_padding, 1, window.dilation
    )
    return y.movedim(1, -1)


def _pads(layer: Any) -> tuple[int, int]:
    (rows, _), (columns, _) = layer.window.padding
    return rows, columns


def _max_pool(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    window = layer.window
    return F.max_pool2d(_first(x), window.kernel, window.stride, _pads(layer), ceil_mode=layer.ceil_mode).movedim(1, -1)


def _avg_pool(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    window = layer.window
    return F.avg_pool2d(
        _first(x), window.kernel, window.stride, _pads(layer), layer.ceil_mode, layer.count_include_pad
    ).movedim(1, -1)


def _adaptive_pool(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.adaptive_avg_pool2d(_first(x), layer.output_size).movedim(1, -1)


def _upsampled(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    scale = tuple(map(float, layer.scale))
    return F.interpolate(_first(x), scale_factor=scale, mode=layer.mode).movedim(1, -1)


def _padded(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.pad(x, (0, 0, layer.left, layer.right, layer.top, layer.bottom))


def _batch_norm(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    mean, variance = _constant(layer.running_mean, x), _constant(layer.running_var, x)
    y = F.batch_norm(
        _first(x), mean, variance, own.get("weight"), own.get("bias"), layer.training, layer.momentum, layer.eps
    )
    return y.movedim(1, -1)


def _group_norm(layer: Any, own: Own, x: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.group_norm(_first(x), layer.num_groups, own.get("weight"), own.get("bias"), layer.eps).movedim(1, -1)


def _sampled(layer: Any, own: Own, mean: Tensor, log_variance: Tensor) -> Tensor:
    if layer.training:
        raise LookupError(f"{layer.title()} draws random numbers, which would be others in PyTorch")
    return mean + 0 * log_variance


def _lengths(layer: Any, mask: Tensor) -> Tensor:
    """How long the sequences are whose padding comes last, which is the only padding that PyTorch knows."""
    if not bool((mask.sum(dim=1) > 0).all()) or not bool((mask[:, :-1] | ~mask[:, 1:]).all()):
        raise LookupError(f"no counterpart for {layer.title()} with padding anywhere but at the ends of its sequences")
    return mask.sum(dim=1)


def _recurrent(layer: Any, own: Own, x: Tensor, *state: Tensor) -> Any:
    import torch
    from torch.nn.utils import rnn

    state, mask = (state[:-1], state[-1]) if state and state[-1].dtype == torch.bool else (state, None)

    kind = getattr(torch.nn, type(layer).__name__)
    options = {"nonlinearity": layer.nonlinearity} if type(layer).__name__ == "RNN" else {}
    module = kind(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.biased, batch_first=True,
        bidirectional=layer.directions == 2, **options,
    )  # fmt: skip
    first = tuple(part.transpose(0, 1) for part in state)  # (N, layers, H) -> (layers, N, H)
    hidden = () if not first else (first if len(first) == 2 else first[0],)
    given: Any = x if mask is None else rnn.pack_padded_sequence(x, _lengths(layer, mask), True, False)
    y, last = torch.func.functional_call(module.to(x.dtype), own, (given, *hidden))
    if mask is not None:
        y = rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
    last = last if isinstance(last, tuple) else (last,)
    if not layer.return_sequences:
        y = torch.cat([*last[0][-layer.directions :]], dim=-1)
    return (y, *(part.transpose(0, 1) for part in last)) if layer.return_state else y
