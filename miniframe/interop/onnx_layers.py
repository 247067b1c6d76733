"""Which operators of ONNX compute which layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers as mf
from ..core.module import Module
from ..saving.atomic import Where
from ..saving.export import WRITERS
from .onnx_arrays import ARRAYS, Write
from .onnx_call import Call
from .onnx_sequences import SEQUENCES, whole
from .onnx_writer import write_onnx

# -------------------------------------------------------------------- with weights


def _linear(c: Call) -> str:
    layer = c.layer
    if len(c.shapes[0]) == 2:
        bias = [] if layer.bias is None else [c.cell(layer.bias)]
        return str(c.op("Gemm", c.x[0], c.cell(layer.weight), *bias, transB=1))
    y = c.op("MatMul", c.x[0], c.cell(layer.weight, (1, 0)))
    return str(y if layer.bias is None else c.op("Add", y, c.cell(layer.bias)))


def _window(layer: Any, axes: slice, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Kernel, steps and padding as ONNX has them: all starts, then all ends."""
    window = layer.window if size is None else layer.window_on(*size)
    before, after = zip(*window.padding[axes])
    return {
        "kernel_shape": list(window.kernel[axes]), "strides": list(window.stride[axes]),
        "pads": [*before, *after], "dilations": list(window.dilation[axes]),
    }  # fmt: skip


def _spatial(c: Call) -> slice:
    """The axes of the window that the layer slides along: both, or columns alone for a sequence."""
    return slice(None) if len(c.shapes[0]) == 4 else slice(1, None)


def _conv(c: Call) -> str:
    layer, ndim = c.layer, len(c.shapes[0])
    weight = c.cell(layer.weight, (0, ndim - 1, *range(1, ndim - 1)))
    bias = [] if layer.bias is None else [c.cell(layer.bias)]
    x = c.channels_first(c.x[0], ndim)
    y = c.op("Conv", x, weight, *bias, group=layer.groups, **_window(layer, _spatial(c)))
    return c.channels_last(y, ndim)


def _conv_transpose(c: Call) -> str:
    layer = c.layer
    weight = c.cell(layer.weight, (3, 0, 1, 2))
    bias = [] if layer.bias is None else [c.cell(layer.bias)]
    x = c.channels_first(_widened(c, 0, 0, *layer.added()), 4)
    window, rest = _window(layer, slice(None)), [p % s for p, s in zip(layer.output_padding, layer.window.stride)]
    y = c.op("ConvTranspose", x, weight, *bias, output_padding=rest, **window)
    return c.channels_last(y, 4)


def _affine(c: Call, size: tuple[int, ...], always: bool = True) -> list[str]:
    """The scale and the shift of a normalization; ones and zeros where the layer has none."""
    layer = c.layer
    scale = c.like(np.ones(size)) if layer.weight is None else c.cell(layer.weight)
    bias = getattr(layer, "bias", None)
    if bias is None and not always:
        return [scale]
    return [scale, c.like(np.zeros(size)) if bias is None else c.cell(bias)]


def _batch_norm(c: Call) -> str:
    layer, ndim = c.layer, len(c.shapes[0])
    scale, bias = _affine(c, (layer.num_features,))
    statistics = c.cell(layer.running_mean), c.cell(layer.running_var)
    y = c.op(
        "BatchNormalization", c.channels_first(c.x[0], ndim), scale, bias, *statistics, epsilon=layer.eps
    )  # fmt: skip
    return c.channels_last(y, ndim)


def _layer_norm(c: Call) -> str:
    layer = c.layer
    size = layer.normalized_shape
    return str(c.op("LayerNormalization", c.x[0], *_affine(c, size, always=False), axis=-len(size), epsilon=layer.eps))


def _group_norm(c: Call) -> str:
    """Over (N, pixels, groups, channels of a group), the axes of pixels and channels."""
    layer, given = c.layer, c.shapes[0]
    pixels = int(np.prod(given[1:-1]))
    grouped = (given[0], pixels, layer.num_groups, layer.num_channels // layer.num_groups)
    x_hat = _normalized(c, c.reshape(c.x[0], given, grouped), [1, 3], layer.eps)
    y = c.reshape(x_hat, grouped, given)
    y = y if layer.weight is None else c.op("Mul", y, c.cell(layer.weight))
    return str(y if layer.bias is None else c.op("Add", y, c.cell(layer.bias)))


def _instance_norm(c: Call) -> str:
    layer, ndim = c.layer, len(c.shapes[0])
    y = c.op(
        "InstanceNormalization", c.channels_first(c.x[0], ndim), *_affine(c, (layer.num_features,)), epsilon=layer.eps
    )
    return c.channels_last(y, ndim)


def _normalized(c: Call, x: str, axes: list[int], eps: float) -> str:
    """(x - mean) / √(variance + ε)."""
    over = c.numbers(axes, what="axes")
    centred = c.op("Sub", x, c.op("ReduceMean", x, over))
    variance = c.op("ReduceMean", c.op("Mul", centred, centred), over)
    return str(c.op("Div", centred, c.op("Sqrt", c.op("Add", variance, c.like(eps)))))


def _rms_norm(c: Call) -> str:
    layer, x = c.layer, c.x[0]
    squares = c.op("ReduceMean", c.op("Mul", x, x), c.numbers([-1], what="axes"))
    y = c.op("Div", x, c.op("Sqrt", c.op("Add", squares, c.like(layer.eps))))
    return str(y if layer.weight is None else c.op("Mul", y, c.cell(layer.weight)))


def _standardize(c: Call) -> str:
    return str(c.op("Div", c.op("Sub", c.x[0], c.cell(c.layer.mean)), c.cell(c.layer.std)))


def _vector_quantizer(c: Call) -> list[str]:
    """The nearest code, by ‖e‖² - 2 x e, and what it costs to be away from it."""
    layer, x = c.layer, c.x[0]
    squares = (np.array(layer.weight.value) ** 2).sum(axis=1)
    product = c.op("MatMul", x, c.cell(layer.weight, (1, 0)))
    distances = c.op("Sub", c.like(squares), c.op("Mul", product, c.like(2)))
    z = c.op("Gather", c.cell(layer.weight), c.op("ArgMin", distances, axis=-1, keepdims=0))
    off = c.op("Sub", x, z)
    axes = c.numbers(list(range(1, len(c.shapes[0]))), what="axes")
    mean = c.op("ReduceMean", c.op("Mul", off, off), axes, keepdims=0)
    return [z, c.op("Mul", mean, c.like(1 + layer.beta))]


# -------------------------------------------------------------------- pooling and resizing


def _pool(kind: str) -> Write:
    def write(c: Call) -> str:
        attributes: dict[str, Any] = {}
        ndim = len(c.shapes[0])
        size = (c.shapes[0][1] if ndim == 4 else 1, c.shapes[0][-2])
        if kind == "AveragePool":
            if c.layer.ceil_mode:
                raise ValueError("with ceil_mode")
            attributes["count_include_pad"] = int(c.layer.count_include_pad)
        window = _window(c.layer, _spatial(c), size)
        window.pop("dilations")
        y = c.op(kind, c.channels_first(c.x[0], ndim), **window, **attributes)
        return c.channels_last(y, ndim)

    return write


def _reduced(kind: str, axes: list[int]) -> Write:
    return lambda c: c.op(kind, c.x[0], c.numbers(axes, what="axes"), keepdims=0)


def _adaptive(c: Call) -> str:
    """R x Cᵀ for every channel, with the layer's own matrices."""
    _, height, width, _ = c.shapes[0]
    rows, columns = c.layer.matrices(height, width)
    x = c.op("MatMul", c.like(rows), c.channels_first(c.x[0], 4))
    return c.channels_last(c.op("MatMul", x, c.like(columns.T)), 4)


def _upsample(c: Call) -> str:
    settings: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if c.layer.mode == "nearest":
        settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    scales = c.numbers([1, 1, *c.layer.scale], np.float32, "scales")
    return c.channels_last(c.op("Resize", c.channels_first(c.x[0], 4), "", scales, **settings), 4)


def _pad(c: Call) -> str:
    layer = c.layer
    return _widened(c, layer.top, layer.left, layer.bottom, layer.right)


def _widened(c: Call, top: int, left: int, bottom: int, right: int) -> str:
    """The images (N, H, W, C) with zeros around them."""
    if not any((top, left, bottom, right)):
        return c.x[0]
    return str(c.op("Pad", c.x[0], c.numbers([0, top, left, 0, 0, bottom, right, 0], what="widths")))


OPERATORS: dict[type, Write] = {
    mf.Linear: _linear,
    mf.Embedding: lambda c: c.op("Gather", c.cell(c.layer.weight), whole(c, 0)),
    mf.Conv2d: _conv,
    mf.Conv1d: _conv,
    mf.ConvTranspose2d: _conv_transpose,
    mf.BatchNorm: _batch_norm,
    mf.LayerNorm: _layer_norm,
    mf.GroupNorm: _group_norm,
    mf.InstanceNorm: _instance_norm,
    mf.RMSNorm: _rms_norm,
    mf.Standardize: _standardize,
    mf.MaxPool2d: _pool("MaxPool"),
    mf.MaxPool1d: _pool("MaxPool"),
    mf.AvgPool2d: _pool("AveragePool"),
    mf.AvgPool1d: _pool("AveragePool"),
    mf.GlobalAvgPool2d: _reduced("ReduceMean", [1, 2]),
    mf.GlobalAvgPool1d: _reduced("ReduceMean", [1]),
    mf.GlobalMaxPool1d: _reduced("ReduceMax", [1]),
    mf.AdaptiveAvgPool2d: _adaptive,
    mf.Upsample2d: _upsample,
    mf.ZeroPad2d: _pad,
    mf.GaussianSample: lambda c: c.op("Identity", c.x[0]),
    mf.VectorQuantizer: _vector_quantizer,
    **ARRAYS,
    **SEQUENCES,
}


def _write(model: Module, path: Where, example: Any) -> None:
    write_onnx(model, path, example, OPERATORS)


WRITERS[".onnx"] = _write
