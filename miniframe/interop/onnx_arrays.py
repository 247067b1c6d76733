"""Which operators of ONNX compute what stands between the layers: arithmetic, reductions, other shapes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..layers import arithmetic, combine, elementwise, reductions, shape
from .onnx_call import TENSOR_TYPES, Call

Write = Callable[[Call], Any]


def plain(kind: str, **attributes: Any) -> Write:
    """An operator that takes the inputs as they are; attributes are numbers, or names of the layer's own."""

    def write(c: Call) -> Any:
        own = {key: getattr(c.layer, name) if isinstance(name, str) else name for key, name in attributes.items()}
        return c.op(kind, *c.x, **own)

    return write


def _alike(kind: str, **attributes: Any) -> Write:
    """An operator that takes its inputs in one type, that of the result."""

    def write(c: Call) -> Any:
        own = {key: getattr(c.layer, name) for key, name in attributes.items()}
        return c.op(kind, *c.alike(), **own)

    return write


# -------------------------------------------------------------------- single numbers


def _silu(c: Call) -> str:
    return str(c.op("Mul", c.x[0], c.op("Sigmoid", c.x[0])))


def _swiglu(c: Call) -> str:
    gate, x = c.x
    return str(c.op("Mul", c.op("Mul", gate, c.op("Sigmoid", gate)), x))


def _clip(c: Call) -> str:
    low, high = ("" if bound is None else c.like(bound) for bound in (c.layer.low, c.layer.high))
    return str(c.op("Clip", c.x[0], low, high))


def _tap(c: Call) -> str:
    if c.layer.on_forward is not None:
        raise ValueError("whose function is Python")
    return str(c.op("Identity", c.x[0]))


COMPARED = {">": "Greater", "<": "Less", ">=": "GreaterOrEqual", "<=": "LessOrEqual", "==": "Equal", "!=": "Equal"}


def _compare(c: Call) -> str:
    sign = c.layer.sign
    first, second = (source.value for source in c.node.inputs)
    y = c.op(COMPARED[sign], *c.alike((first + second).dtype))
    return str(c.op("Not", y) if sign == "!=" else y)


def _where(c: Call) -> str:
    condition = c.cast(c.x[0], c.dtypes[0], mx.bool_)
    if all(dtype is not None and dtype == mx.bool_ for dtype in c.dtypes[1:]):  # onnxruntime chooses from no bools
        first, second = c.op("And", condition, c.x[1]), c.op("And", c.op("Not", condition), c.x[2])
        return str(c.op("Or", first, second))
    return str(c.op("Where", condition, *c.alike()[1:]))


def _reduce(kind: str) -> Write:
    def write(c: Call) -> str:
        (x,) = c.alike()
        axis = c.layer.axis
        axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
        over = [c.numbers(axes, what="axes")] if axes else []
        return str(c.op(kind, x, *over, keepdims=int(c.layer.keepdims)))

    return write


# -------------------------------------------------------------------- other shapes


def _reshape(c: Call) -> str:
    return c.reshape(c.x[0], c.shapes[0], c.shape)


def _transpose(c: Call) -> str:
    ndim = len(c.shapes[0])
    axes = reversed(range(ndim)) if c.layer.axes is None else [axis % ndim for axis in c.layer.axes]
    return c.turn(c.x[0], *axes)


def _squeeze(c: Call) -> str:
    axis = c.layer.axis
    ones = [k for k, size in enumerate(c.shapes[0]) if size == 1]
    axes = ones if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return str(c.op("Squeeze", c.x[0], c.numbers(axes, what="axes")))


def _unsqueeze(c: Call) -> str:
    return str(c.op("Unsqueeze", c.x[0], c.numbers([c.layer.axis], what="axes")))


def _stack(c: Call) -> str:
    axes = c.numbers([c.layer.axis], what="axes")
    return str(c.op("Concat", *[c.op("Unsqueeze", x, axes) for x in c.alike()], axis=c.layer.axis))


def _split(c: Call) -> list[str]:
    axis = c.layer.axis
    sizes = [part[axis] for part in c.shape]
    if any(map(c.draft.is_batch, sizes)) or c.draft.is_batch(c.shapes[0][axis]):
        raise ValueError("which cuts the batch")
    found = c.op("Split", c.x[0], c.numbers(sizes, what="sizes"), axis=axis, outputs=len(sizes))
    return list(found) if isinstance(found, list) else [found]


def _for_each(c: Call) -> str:
    """As many copies as the batch has samples."""
    ends = (c.numbers([end], what=what) for end, what in ((0, "start"), (1, "stop")))
    samples = c.op("Slice", c.op("Shape", c.x[1]), *ends)
    ones = c.numbers([1] * (len(c.shapes[0]) - 1), what="ones")
    return str(c.op("Expand", c.x[0], c.op("Concat", samples, ones, axis=0)))


def _index(c: Call) -> str:
    """x[index] with slices, numbers, None, ..., and one list of numbers."""
    index = c.layer.index if isinstance(c.layer.index, tuple) else (c.layer.index,)
    parts = list(index)
    ndim = len(c.shapes[0])
    where = [k for k, part in enumerate(parts) if part is Ellipsis]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    for k in where:
        parts[k : k + 1] = [slice(None)] * (ndim - taken)
    if sum(not isinstance(part, (int, slice, type(None))) for part in parts) > 1:
        raise ValueError("with several lists of indices")
    x, axis = c.x[0], 0
    for part in parts:
        if part is None:
            x = c.op("Unsqueeze", x, c.numbers([axis], what="axes"))
        elif isinstance(part, slice):
            x = _sliced(c, x, part, axis)
        else:
            rows = np.asarray(part, dtype=None if isinstance(part, int) else np.int64)
            if getattr(part, "dtype", None) is not None and "bool" in str(part.dtype):
                raise ValueError("with an index of bools")
            x = c.op("Gather", x, c.numbers(rows, what="indices"), axis=axis)
            axis += rows.ndim - 1
        axis += 1
    return str(x)


def _sliced(c: Call, x: str, part: slice, axis: int) -> str:
    if part == slice(None):
        return x
    step = 1 if part.step is None else part.step
    start = part.start if part.start is not None else 0 if step > 0 else sys.maxsize
    stop = part.stop if part.stop is not None else sys.maxsize if step > 0 else -sys.maxsize
    ends = (c.numbers([value], what=what) for value, what in ((start, "start"), (stop, "stop")))
    return str(c.op("Slice", x, *ends, c.numbers([axis], what="axes"), c.numbers([step], what="step")))


def _dealt(c: Call) -> str:
    """The channels as a table of groups, turned and read again."""
    given, groups, ndim = c.shapes[0], c.layer.groups, len(c.shapes[0])
    rows = (*given[:-1], groups, given[-1] // groups)
    turned = c.op("Transpose", c.reshape(c.x[0], given, rows), perm=[*range(ndim - 1), ndim, ndim - 1])
    return str(c.reshape(turned, (*given[:-1], rows[-1], groups), given))


ARRAYS: dict[type, Write] = {
    arithmetic.Add: _alike("Add"),
    arithmetic.Subtract: _alike("Sub"),
    arithmetic.Multiply: _alike("Mul"),
    arithmetic.Divide: _alike("Div"),
    arithmetic.Negate: plain("Neg"),
    arithmetic.Power: _alike("Pow"),
    arithmetic.MatMul: _alike("MatMul"),
    arithmetic.Exp: _alike("Exp"),
    arithmetic.Log: _alike("Log"),
    arithmetic.Sqrt: _alike("Sqrt"),
    arithmetic.Index: _index,
    arithmetic.ReshapeTo: _reshape,
    arithmetic.Transpose: _transpose,
    elementwise.Abs: plain("Abs"),
    elementwise.Square: lambda c: c.op("Mul", *c.x * 2),
    elementwise.Sin: _alike("Sin"),
    elementwise.Cos: _alike("Cos"),
    elementwise.Clip: _clip,
    elementwise.AsType: lambda c: c.op("Cast", c.x[0], to=TENSOR_TYPES[c.draft.numpy_type(c.layer.dtype).name]),
    elementwise.Compare: _compare,
    reductions.Sum: _reduce("ReduceSum"),
    reductions.Mean: _reduce("ReduceMean"),
    reductions.Max: _reduce("ReduceMax"),
    reductions.Min: _reduce("ReduceMin"),
    shape.Flatten: _reshape,
    shape.Reshape: _reshape,
    shape.Squeeze: _squeeze,
    shape.Unsqueeze: _unsqueeze,
    combine.Concatenate: _alike("Concat", axis="axis"),
    combine.Stack: _stack,
    combine.Split: _split,
    combine.ForEachSample: _for_each,
    combine.Where: _where,
    combine.Maximum: _alike("Max"),
    combine.Minimum: _alike("Min"),
    mf.Identity: plain("Identity"),
    mf.ReLU: plain("Relu"),
    mf.LeakyReLU: plain("LeakyRelu", alpha="slope"),
    mf.PReLU: lambda c: c.op("PRelu", c.x[0], c.cell(c.layer.weight)),
    mf.ELU: plain("Elu", alpha="alpha"),
    mf.Sigmoid: plain("Sigmoid"),
    mf.Tanh: plain("Tanh"),
    mf.Softplus: plain("Softplus"),
    mf.SiLU: _silu,
    mf.GELU: lambda c: c.op("Gelu", c.x[0], approximate=c.layer.approximate),
    mf.ReLU6: lambda c: c.op("Min", c.op("Relu", c.x[0]), c.like(6.0)),
    mf.Hardsigmoid: lambda c: c.op("HardSigmoid", c.x[0], alpha=1 / 6, beta=0.5),
    mf.Hardswish: lambda c: c.op("Mul", c.x[0], c.op("HardSigmoid", c.x[0], alpha=1 / 6, beta=0.5)),
    mf.LayerScale: lambda c: c.op("Mul", c.x[0], c.cell(c.layer.weight)),
    mf.StochasticDepth: plain("Identity"),
    mf.ChannelShuffle: _dealt,
    mf.SwiGLU: _swiglu,
    mf.Softmax: plain("Softmax", axis="axis"),
    mf.LogSoftmax: plain("LogSoftmax", axis="axis"),
    mf.Dropout: plain("Identity"),
    mf.Tap: _tap,
}
