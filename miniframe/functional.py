"""Every stateless layer and operation as a function, on arrays and nodes alike: ``import miniframe.functional as F``.

A model's forward is written with them as it would be in PyTorch, ``F.relu(self.fc(x))``. Each is backed by its layer,
so its derivative is known and the model needs no backward. Given arrays they return arrays; given a node, a node.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx  # noqa: F401  (for the examples)

from .core.expression import Axis
from .core.foreign import functions as _functions
from .layers import arithmetic as _arithmetic
from .layers import elementwise as _elementwise
from .layers import reductions as _reductions
from .layers.activation_functions import (
    dropout,
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    log_softmax,
    relu,
    relu6,
    sigmoid,
    silu,
    softmax,
    softplus,
    stochastic_depth,
    tanh,
)
from .layers.attention import scaled_dot_product_attention
from .layers.combine import concatenate, maximum, minimum, split, stack, where
from .layers.functions import (
    adaptive_avg_pool2d,
    astype,
    avg_pool1d,
    avg_pool2d,
    channel_shuffle,
    flatten,
    gaussian_sample,
    global_avg_pool1d,
    global_avg_pool2d,
    global_max_pool1d,
    max_pool1d,
    max_pool2d,
    reshape,
    squeeze,
    transpose,
    unsqueeze,
    upsample2d,
    zero_pad2d,
)
from .layers.gated import swiglu
from .layers.multi_head import merge_heads, split_heads
from .layers.positions import rotary_embedding, sine_position_encoding

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "astype", "avg_pool1d", "avg_pool2d", "channel_shuffle", "clip",
    "concatenate", "cos", "divide", "dropout", "elu", "equal", "exp", "flatten", "gaussian_sample", "gelu",
    "global_avg_pool1d", "global_avg_pool2d", "global_max_pool1d", "greater", "greater_equal", "hardsigmoid",
    "hardswish", "leaky_relu", "less", "less_equal", "log", "log_softmax", "matmul", "max", "max_pool1d", "max_pool2d",
    "maximum", "mean", "merge_heads", "min", "minimum", "multiply", "negative", "not_equal", "pad", "power", "relu",
    "relu6", "reshape", "rotary_embedding", "scaled_dot_product_attention", "sigmoid", "silu", "sin",
    "sine_position_encoding", "softmax", "softplus", "split", "split_heads", "sqrt", "square", "squeeze", "stack",
    "stochastic_depth", "subtract", "sum", "swiglu", "tanh", "transpose", "unsqueeze", "upsample2d", "where",
    "zero_pad2d",
]  # fmt: skip

pad = zero_pad2d
_functions.update(__all__)


def add(x: Any, y: Any) -> Any:
    """x + y, broadcast. dx = dz, dy = dz.

    >>> add(mx.array([1.0]), mx.array([2.0])).tolist()
    [3.0]
    """
    return _arithmetic.Add()(x, y)


def subtract(x: Any, y: Any) -> Any:
    """x - y, broadcast. dx = dz, dy = -dz.

    >>> subtract(mx.array([1.0]), mx.array([2.0])).tolist()
    [-1.0]
    """
    return _arithmetic.Subtract()(x, y)


def multiply(x: Any, y: Any) -> Any:
    """x y, element by element, broadcast. dx = dz y, dy = dz x.

    >>> multiply(mx.array([3.0]), mx.array([2.0])).tolist()
    [6.0]
    """
    return _arithmetic.Multiply()(x, y)


def divide(x: Any, y: Any) -> Any:
    """x / y, broadcast. dx = dz / y, dy = -dz x / y².

    >>> divide(mx.array([3.0]), mx.array([2.0])).tolist()
    [1.5]
    """
    return _arithmetic.Divide()(x, y)


def power(x: Any, y: Any) -> Any:
    """x to the power of y, broadcast. dx = dz y x^(y-1), dy = dz z log x.

    >>> power(mx.array([3.0]), mx.array([2.0])).tolist()
    [9.0]
    """
    return _arithmetic.Power()(x, y)


def negative(x: Any) -> Any:
    """-x. dx = -dz.

    >>> negative(mx.array([3.0])).tolist()
    [-3.0]
    """
    return _arithmetic.Negate()(x)


def matmul(x: Any, y: Any) -> Any:
    """Z = X Y. dX = dZ Yᵀ, dY = Xᵀ dZ.

    >>> matmul(mx.ones((2, 3)), mx.ones((3, 4))).shape
    (2, 4)
    """
    return _arithmetic.MatMul()(x, y)


def exp(x: Any) -> Any:
    """z = exp x. dx = dz z.

    >>> exp(mx.array([0.0])).tolist()
    [1.0]
    """
    return _arithmetic.Exp()(x)


def log(x: Any) -> Any:
    """The natural logarithm. dx = dz / x.

    >>> log(mx.array([1.0])).tolist()
    [0.0]
    """
    return _arithmetic.Log()(x)


def sqrt(x: Any) -> Any:
    """z = √x. dx = dz / 2z.

    >>> sqrt(mx.array([9.0])).tolist()
    [3.0]
    """
    return _arithmetic.Sqrt()(x)


def abs(x: Any) -> Any:
    """|x|. dx = dz with the sign of x.

    >>> abs(mx.array([-3.0])).tolist()
    [3.0]
    """
    return _elementwise.Abs()(x)


def square(x: Any) -> Any:
    """x². dx = 2 dz x.

    >>> square(mx.array([-3.0])).tolist()
    [9.0]
    """
    return _elementwise.Square()(x)


def sin(x: Any) -> Any:
    """sin x. dx = dz cos x.

    >>> sin(mx.array([0.0])).tolist()
    [0.0]
    """
    return _elementwise.Sin()(x)


def cos(x: Any) -> Any:
    """cos x. dx = -dz sin x.

    >>> cos(mx.array([0.0])).tolist()
    [1.0]
    """
    return _elementwise.Cos()(x)


def clip(x: Any, low: float | None = None, high: float | None = None) -> Any:
    """x, at least low and at most high. dx = dz between the bounds, else 0.

    >>> clip(mx.array([-3.0, 0.5]), 0, 1).tolist()
    [0.0, 0.5]
    """
    return _elementwise.Clip(low, high)(x)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Σ x over an axis, or all. dx = dz, spread over what was summed.

    >>> sum(mx.ones((2, 3)), axis=1).tolist()
    [3.0, 3.0]
    """
    return _reductions.Sum(axis, keepdims)(x)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Σ x / n over an axis, or all. dx = dz / n, spread over what was averaged.

    >>> mean(mx.ones((2, 3)), axis=1).tolist()
    [1.0, 1.0]
    """
    return _reductions.Mean(axis, keepdims)(x)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest x along an axis, or of all. dx = dz there; equal ones share it.

    >>> max(mx.array([1.0, 5.0])).item()
    5.0
    """
    return _reductions.Max(axis, keepdims)(x)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The smallest x along an axis, or of all. dx = dz there; equal ones share it.

    >>> min(mx.array([1.0, 5.0])).item()
    1.0
    """
    return _reductions.Min(axis, keepdims)(x)


def greater(x: Any, y: Any) -> Any:
    """Whether x > y, element by element: bools for where, without a gradient.

    >>> greater(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [False, False]
    """
    return _elementwise.Compare(">")(x, y)


def less(x: Any, y: Any) -> Any:
    """Whether x < y, element by element: bools for where, without a gradient.

    >>> less(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [True, False]
    """
    return _elementwise.Compare("<")(x, y)


def greater_equal(x: Any, y: Any) -> Any:
    """Whether x >= y, element by element: bools for where, without a gradient.

    >>> greater_equal(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [False, True]
    """
    return _elementwise.Compare(">=")(x, y)


def less_equal(x: Any, y: Any) -> Any:
    """Whether x <= y, element by element: bools for where, without a gradient.

    >>> less_equal(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [True, True]
    """
    return _elementwise.Compare("<=")(x, y)


def equal(x: Any, y: Any) -> Any:
    """Whether x equals y, element by element: bools for where, without a gradient.

    >>> equal(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [False, True]
    """
    return _elementwise.Compare("==")(x, y)


def not_equal(x: Any, y: Any) -> Any:
    """Whether x differs from y, element by element: bools for where, without a gradient.

    >>> not_equal(mx.array([1.0, 2.0]), mx.array(2.0)).tolist()
    [True, False]
    """
    return _elementwise.Compare("!=")(x, y)
