"""Calls of PyTorch's functions and methods: which layer each is here.

The functions have PyTorch's own arguments after the builder, so that whatever a call leaves out has PyTorch's default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from .. import layers as mf
from ..core.module import Module
from ..layers import arithmetic, elementwise, reductions
from .fx_attention import function as attention
from .fx_composed import COMPOSED
from .fx_edges import edges, zeros_before_and_after
from .fx_functions import FUNCTIONS, zeros_around
from .fx_shapes import SHAPES
from .fx_table import Builder, Call
from .fx_trace import Seen
from .fx_values import Places, Value, plain, reduced


def _alike(kind: str, make: Callable[..., Module]) -> Call:
    """A function of one tensor that treats all numbers alike, without options."""

    def call(b: Builder, input: Value, inplace: bool = False) -> Value:
        return b.alike(make(), input, kind)

    return call


def _same(b: Builder, input: Value, *args: Any, **kwargs: Any) -> Value:
    return input


def _gelu(b: Builder, input: Value, approximate: str = "none") -> Value:
    return b.alike(mf.GELU(approximate), input, "gelu")


def _elu(b: Builder, input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    return b.alike(mf.ELU(alpha), input, "elu")


def _leaky_relu(b: Builder, input: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    return b.alike(mf.LeakyReLU(negative_slope), input, "leaky_relu")


def _hardtanh(b: Builder, input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Value:
    return b.alike(mf.ReLU6() if (min_val, max_val) == (0, 6) else mf.Clip(min_val, max_val), input, "hardtanh")


def _clamp(b: Builder, input: Value, min: Any = None, max: Any = None) -> Value:
    return b.alike(mf.Clip(min, max), input, "clamp")


def _softplus(b: Builder, input: Value, beta: float = 1, threshold: float = 20) -> Value:
    if beta != 1:
        raise ValueError(f"beta={beta}; only 1 is known")
    return b.alike(mf.Softplus(), input, "softplus")


def _dropout(b: Builder, input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """The layer drops in training mode; what the code says about training is its mode when it was traced."""
    return b.alike(mf.Dropout(p), input, "dropout")


def _stochastic_depth(b: Builder, input: Value, p: float, mode: str, training: bool = True) -> Value:
    return b.alike(mf.StochasticDepth(p, mode), input, "stochastic_depth")


def _softmax(kind: Callable[[int], Module], name: str) -> Call:
    def call(b: Builder, input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
        if dim is None:
            raise ValueError("without dim")
        axis = input.axis(dim)
        return b.alike(kind(-1 if axis == input.ndim - 1 else axis), input, name)

    return call


# -------------------------------------------------------------------- two tensors, broadcast


def _pair(b: Builder, layer: Module, kind: str, x: Any, y: Any) -> Value:
    """A layer of two values that are broadcast against each other, or of a value and a number."""
    values = [part for part in (x, y) if isinstance(part, Value)]
    leader = max(values, key=lambda value: (value.ndim, value.channel is not None, len(value.seen.shape)))
    if len(values) == 2 and values[0].ndim == values[1].ndim and leader.parameter is not None:
        leader = next((value for value in values if value.parameter is None), leader)
    nodes = [b.fitted(part, leader.ndim, leader.order) if isinstance(part, Value) else float(part) for part in (x, y)]
    return b.result(b.named(layer, kind)(*nodes), leader.order, leader.channel)


def _binary(kind: str, make: Callable[[], Module]) -> Call:
    def call(b: Builder, input: Any, other: Any) -> Value:
        return _pair(b, make(), kind, input, other)

    return call


def _add(sign: int) -> Call:
    def call(b: Builder, input: Any, other: Any, alpha: float = 1) -> Value:
        if alpha != 1:
            raise ValueError(f"alpha={alpha}; only 1 is known")
        make, kind = (arithmetic.Add, "add") if sign > 0 else (arithmetic.Subtract, "sub")
        return _pair(b, make(), kind, input, other)

    return call


def _multiply(b: Builder, input: Any, other: Any) -> Value:
    """A parameter with one number for each channel is a LayerScale."""
    for value, scale in ((input, other), (other, input)):
        if isinstance(value, Value) and isinstance(scale, Value) and scale.parameter and not value.parameter:
            new = value.ndim - scale.ndim
            long = [axis + new for axis, size in enumerate(scale.seen.shape) if size > 1]
            if value.ndim > 1 and new >= 0 and long == [value.order[-1]]:
                key = "scale", scale.parameter
                if key not in b.layers:
                    b.layers[key] = mf.LayerScale(max(scale.seen.shape)).named(scale.parameter)
                return b.result(b.layers[key](value.node), value.order, value.channel)
    return _pair(b, arithmetic.Multiply(), "mul", input, other)


def _matmul(b: Builder, input: Value, other: Value) -> Value:
    nodes = [b.ordered(value, plain(value.ndim)).node for value in (input, other)]
    return b.result(b.named(arithmetic.MatMul(), "matmul")(*nodes), plain(len(b.seen.shape)))


def _where(b: Builder, condition: Value, input: Any, other: Any) -> Value:
    values = [part for part in (condition, input, other) if isinstance(part, Value)]
    leader = max(values, key=lambda value: (value.ndim, value.channel is not None))
    nodes = [
        b.fitted(part, leader.ndim, leader.order) if isinstance(part, Value) else mx.array(float(part))
        for part in (condition, input, other)
    ]
    return b.result(b.named(mf.Where(), "where")(*nodes), leader.order, leader.channel)


def _masked_fill(b: Builder, input: Value, mask: Value, value: float) -> Value:
    return _where(b, mask, value, input)


# -------------------------------------------------------------------- sums


def _reduction(kind: str, make: Callable[..., Module]) -> Call:
    def call(b: Builder, input: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        found = b.seen if isinstance(b.seen, Seen) else b.seen[0]  # a tuple: with the places of what it finds
        dims = tuple(range(input.ndim)) if dim in (None, ()) else (dim,) if isinstance(dim, int) else tuple(dim)
        gone = {axis % input.ndim for axis in dims}
        if make is reductions.Mean and gone == {2, 3} and input.order == (0, 2, 3, 1) and not keepdim:
            return b.result(b.named(mf.GlobalAvgPool2d(), kind)(input.node), (0, 1), 1)
        order, channel = reduced(input, gone, keepdim)
        layer = make(tuple(sorted(input.axis(axis) for axis in gone)), keepdim)
        result = b.result(b.named(layer, kind)(input.node), order, channel, found)
        return result if isinstance(b.seen, Seen) else (result, Places())

    return call


# -------------------------------------------------------------------- types


def _to_type(b: Builder, input: Value, *args: Any, **kwargs: Any) -> Value:
    """A move to another type of numbers; one to another device is none here."""
    if b.seen.dtype == input.seen.dtype:
        return input
    if not b.seen.dtype.is_floating_point:
        raise ValueError(f"makes {b.seen.dtype} of {input.seen.dtype}")
    return b.alike(elementwise.AsType(mx.float32), input, "astype")


def _pad(b: Builder, input: Value, pad: Any, mode: str = "constant", value: float | None = None) -> Value:
    if mode == "constant" and not value and input.ndim == 3 and len(pad) == 2 and min(pad) >= 0:
        return zeros_before_and_after(b, input, pad)
    return zeros_around(b, input, pad, mode, value) if mode == "constant" else edges(b, input, pad, mode)


CALLS: dict[str, Call] = {
    **SHAPES,
    **FUNCTIONS,
    **COMPOSED,
    "scaled_dot_product_attention": attention,
    **{
        name: _alike(name, make)
        for name, make in {
            "relu": mf.ReLU, "relu6": mf.ReLU6, "sigmoid": mf.Sigmoid, "tanh": mf.Tanh, "silu": mf.SiLU,
            "hardswish": mf.Hardswish, "hardsigmoid": mf.Hardsigmoid, "exp": arithmetic.Exp, "log": arithmetic.Log,
            "sqrt": arithmetic.Sqrt, "neg": arithmetic.Negate, "abs": mf.Abs, "square": mf.Square, "sin": mf.Sin,
            "cos": mf.Cos,
        }.items()
    },
    **dict.fromkeys(("contiguous", "clone", "requires_grad_"), _same),
    **dict.fromkeys(("to", "float", "type_as", "type", "bool", "long", "int", "double"), _to_type),
    "pad": _pad,
    "gelu": _gelu,
    "elu": _elu,
    "leaky_relu": _leaky_relu,
    "hardtanh": _hardtanh,
    **dict.fromkeys(("clamp", "clip"), _clamp),
    "softplus": _softplus,
    "dropout": _dropout,
    "stochastic_depth": _stochastic_depth,
    "softmax": _softmax(mf.Softmax, "softmax"),
    "log_softmax": _softmax(mf.LogSoftmax, "log_softmax"),
    "add": _add(1),
    **dict.fromkeys(("sub", "subtract"), _add(-1)),
    **dict.fromkeys(("mul", "multiply"), _multiply),
    **dict.fromkeys(("div", "divide", "truediv"), _binary("div", arithmetic.Divide)),
    "pow": _binary("pow", arithmetic.Power),
    "maximum": _binary("maximum", mf.Maximum),
    "minimum": _binary("minimum", mf.Minimum),
    **{
        name: _binary(name, lambda sign=sign: mf.Compare(sign))  # type: ignore[misc]
        for name, sign in {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}.items()
    },
    **dict.fromkeys(("matmul", "bmm", "mm"), _matmul),
    "where": _where,
    "masked_fill": _masked_fill,
    "mean": _reduction("mean", reductions.Mean),
    "sum": _reduction("sum", reductions.Sum),
    **dict.fromkeys(("amax", "max"), _reduction("amax", reductions.Max)),
    **dict.fromkeys(("amin", "min"), _reduction("amin", reductions.Min)),
    **dict.fromkeys(("_assert", "_assert_is_none"), lambda b, *args: None),
}  # fmt: skip
"""By the name of a function or a method: a maker of what it gives."""
