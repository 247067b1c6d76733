"""Calls of PyTorch that have no layer here, but are made of several: gates, norms, einsum, cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .. import layers as mf
from ..core.module import Module
from ..core.node import Node
from ..layers import arithmetic, reductions
from .fx_edges import adaptive_max, channel_dropout, edges
from .fx_table import Builder, Call
from .fx_trace import Seen
from .fx_values import Value, plain, reduced

SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha, of Klambauer et al. 2017


class _Steps:
    """Layers one after the other, each named after its kind in the place where the call stands."""

    def __init__(self, b: Builder) -> None:
        self.b = b

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        make = getattr(arithmetic, kind, None) or getattr(reductions, kind, None) or getattr(mf, kind)

        def call(*inputs: Any, **settings: Any) -> Any:
            return self.b.named(make(**settings), kind.lower())(*inputs)

        return call


# -------------------------------------------------------------------- number by number


def _elementwise(compute: Callable[[Any, Node], Node]) -> Call:
    """A function of one tensor that treats all numbers alike."""

    def call(b: Builder, input: Value, inplace: bool = False) -> Value:
        return b.result(compute(_Steps(b), input.node), input.order, input.channel)

    return call


def _selu(do: Any, x: Node) -> Node:
    return do.Multiply(do.ELU(x, alpha=SELU[1]), SELU[0])  # type: ignore[no-any-return]


def _glu(b: Builder, input: Value, dim: int = -1) -> Value:
    axis, half = dim % input.ndim, input.seen.shape[dim] // 2
    gone = [slice(None)] * input.ndim
    first, second = (tuple(part if k == axis else gone[k] for k in input.order)
                     for part in (slice(half), slice(half, None)))  # fmt: skip
    a, gate = (b.named(arithmetic.Index(part), "index")(input.node) for part in (first, second))
    do = _Steps(b)
    return b.result(do.Multiply(a, do.Sigmoid(gate)), input.order, input.channel)


# -------------------------------------------------------------------- over axes


def _dims(input: Value, dim: Any) -> tuple[int, ...]:
    return tuple(range(input.ndim)) if dim in (None, ()) else (dim,) if isinstance(dim, int) else tuple(dim)


def _variance(b: Builder, input: Value, dims: tuple[int, ...], keepdim: bool, correction: float) -> Node:
    axes = tuple(sorted(input.axis(dim) for dim in dims))
    if any(input.seen.grows[dim] for dim in dims):
        raise ValueError("over the batch")
    count = math.prod(input.seen.shape[dim] for dim in dims)
    do = _Steps(b)
    middle = do.Subtract(input.node, do.Mean(input.node, axis=axes, keepdims=True))
    mean: Node = do.Mean(do.Square(middle), axis=axes, keepdims=keepdim)
    return mean if correction == 0 else do.Multiply(mean, count / (count - correction))  # type: ignore[no-any-return]


def _spread(root: bool) -> Call:
    def call(
        b: Builder,
        input: Value,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Value:
        dims = _dims(input, None if isinstance(dim, bool) else dim)
        taken_off = (1 if unbiased else 0) if correction is None else correction
        node = _variance(b, input, dims, keepdim, taken_off)
        order, channel = reduced(input, dims, keepdim)
        return b.result(_Steps(b).Sqrt(node) if root else node, order, channel)

    return call


def _length(b: Builder, input: Value, p: Any, dims: tuple[int, ...], keepdim: bool) -> Node:
    if p not in (1, 2, 2.0, None, "fro"):
        raise ValueError(f"p={p}; only 1 and 2 are known")
    do, axes = _Steps(b), tuple(sorted(input.axis(dim) for dim in dims))
    if p == 1:
        return do.Sum(do.Abs(input.node), axis=axes, keepdims=keepdim)  # type: ignore[no-any-return]
    return do.Sqrt(do.Sum(do.Square(input.node), axis=axes, keepdims=keepdim))  # type: ignore[no-any-return]


def _norm(b: Builder, input: Value, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    dims = _dims(input, dim)
    order, channel = reduced(input, dims, keepdim)
    return b.result(_length(b, input, p, dims, keepdim), order, channel)


def _linalg_norm(
    b: Builder, input: Value, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Value:
    if not (dim is None or isinstance(dim, int) or len(dim) == 1) and ord not in (None, "fro"):
        raise ValueError("of matrices")
    return _norm(b, input, ord, dim, keepdim)


def _normalize(b: Builder, input: Value, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None) -> Value:
    do = _Steps(b)
    length = do.Clip(_length(b, input, p, _dims(input, dim), True), low=eps, high=None)
    return b.result(do.Divide(input.node, length), input.order, input.channel)


# -------------------------------------------------------------------- products


def _einsum(b: Builder, equation: str, *operands: Any) -> Value:
    """Of two tensors: the letters that both and the result have are the batch of a product of matrices."""
    values: list[Value] = list(
        operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else operands
    )
    given, _, wanted = equation.replace(" ", "").partition("->")
    names = given.split(",")
    if "." in equation or "->" not in equation or any(len(set(letters)) < len(letters) for letters in names):
        raise ValueError(f"{equation!r}; only letters, each once in a tensor, and a result are known")
    if len(values) == 1 and sorted(names[0]) == sorted(wanted):
        return b.turned(values[0], [names[0].index(letter) for letter in wanted])
    if len(values) != 2 or any(letter not in "".join(names[1 - k]) + wanted for k in (0, 1) for letter in names[k]):
        raise ValueError(f"{equation!r}; only products of two tensors, without sums in one of them, are known")
    first, second = names
    batch = [letter for letter in wanted if letter in first and letter in second]
    inner = [letter for letter in first if letter in second and letter not in wanted]
    left = [letter for letter in wanted if letter in first and letter not in second]
    right = [letter for letter in wanted if letter in second and letter not in first]
    a, c = _matrix(b, values[0], first, batch, left, inner), _matrix(b, values[1], second, batch, inner, right)
    sizes = {letter: axis for letters, value in zip(names, values) for letter, axis in zip(letters, _axes(value))}
    product = Value(_Steps(b).MatMul(a.node, c.node), _seen(sizes, batch, left, right), plain(len(batch) + 2))
    order = [*batch, *left, *right]
    apart = b.reshaped(product, _seen(sizes, *([letter] for letter in order)))
    return b.turned(apart, [order.index(letter) for letter in wanted])


Axis = tuple[int, bool, int, Any]  # how long, whether it grows, how long in the second run, the type of the numbers


def _axes(value: Value) -> list[Axis]:
    seen = value.seen
    return [(size, grows, other, seen.dtype) for size, grows, other in zip(seen.shape, seen.grows, seen.other)]


def _seen(sizes: dict[str, Axis], *groups: Sequence[str]) -> Seen:
    """A tensor whose axes are these letters, those of all groups but the first joined to one axis each."""
    if len(groups) == 3:
        groups = (*([letter] for letter in groups[0]), *groups[1:])
    parts = [[sizes[letter] for letter in group] for group in groups]
    shape = tuple(math.prod(part[0] for part in group) for group in parts)
    other = tuple(math.prod(part[2] for part in group) for group in parts)
    return Seen(shape, tuple(any(part[1] for part in group) for group in parts), other, next(iter(sizes.values()))[3])


def _matrix(b: Builder, value: Value, letters: str, *groups: list[str]) -> Value:
    """The tensor as matrices: the axes of the batch, then two that join the letters of the other groups."""
    order = [letter for group in groups for letter in group]
    turned = b.turned(value, [letters.index(letter) for letter in order])
    turned = b.ordered(turned, plain(turned.ndim))
    return b.reshaped(turned, _seen(dict(zip(letters, _axes(value))), *groups))


# -------------------------------------------------------------------- sums and cells


def _log_sum_exp(b: Builder, input: Value, dim: Any, keepdim: bool = False) -> Value:
    dims, do = _dims(input, dim), _Steps(b)
    axes = tuple(sorted(input.axis(axis) for axis in dims))
    largest = do.Max(input.node, axis=axes, keepdims=True)
    total = do.Log(do.Sum(do.Exp(do.Subtract(input.node, largest)), axis=axes, keepdims=True))
    order, channel = reduced(input, dims, keepdim)
    whole = replace(input, node=do.Add(total, largest), seen=_with_ones(input.seen, dims))
    return b.result(whole.node, order, channel) if keepdim else b.reshaped(whole, b.seen)


def _with_ones(seen: Seen, dims: Sequence[int]) -> Seen:
    gone = {dim % len(seen.shape) for dim in dims}
    shape, other = (tuple(1 if k in gone else n for k, n in enumerate(part)) for part in (seen.shape, seen.other))
    return Seen(shape, tuple(g and k not in gone for k, g in enumerate(seen.grows)), other, seen.dtype)


def _product_and_sum(b: Builder, input: Value, mat1: Value, mat2: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    if (beta, alpha) != (1, 1):
        raise ValueError(f"beta={beta}, alpha={alpha}; only 1 is known")
    do, ndim = _Steps(b), mat1.ndim
    product = do.MatMul(*(b.ordered(part, plain(part.ndim)).node for part in (mat1, mat2)))
    return b.result(do.Add(b.fitted(input, ndim, plain(ndim)), product), plain(ndim))


def cell(b: Builder, module: Any, path: str, input: Value, hx: Any = None) -> Any:
    """A recurrent cell: the layer of its kind on a sequence of one step."""
    kind = type(module).__name__.removesuffix("Cell")
    if module not in b.layers:
        options = {"nonlinearity": module.nonlinearity} if kind == "RNN" else {}
        made: Any = getattr(mf, kind)(module.input_size, module.hidden_size, bias=module.bias, **options)
        made.return_state, made.output_count = True, 3 if kind == "LSTM" else 2
        b.layers[module] = made.named(path)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if module.bias else 2]:
            b.renamed[f"{path}.{name}_l0"] = f"{path}.{name}"
    if input.ndim != 2:
        raise ValueError("a cell without a batch")
    states = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
    nodes = [_one_step(b, value) for value in (input, *states)]
    _, *last = b.layers[module](*nodes)
    found = tuple(
        b.result(b.named(arithmetic.Index((slice(None), 0)), "index")(node), plain(2), None, seen)
        for node, seen in zip(last, b.seen if isinstance(b.seen, tuple) else (b.seen,))
    )
    return found if kind == "LSTM" else found[0]


def _one_step(b: Builder, value: Value) -> Node:
    made: Module = mf.Unsqueeze(1)
    return b.named(made, "unsqueeze")(b.ordered(value, plain(2)).node)  # type: ignore[no-any-return]


COMPOSED: dict[str, Call] = {
    "mish": _elementwise(lambda do, x: do.Multiply(x, do.Tanh(do.Softplus(x)))),
    "selu": _elementwise(_selu),
    "softsign": _elementwise(lambda do, x: do.Divide(x, do.Add(do.Abs(x), 1.0))),
    **dict.fromkeys(("logsigmoid", "log_sigmoid"), _elementwise(lambda do, x: do.Negate(do.Softplus(do.Negate(x))))),
    "rsqrt": _elementwise(lambda do, x: do.Divide(1.0, do.Sqrt(x))),
    "reciprocal": _elementwise(lambda do, x: do.Divide(1.0, x)),
    "log1p": _elementwise(lambda do, x: do.Log(do.Add(x, 1.0))),
    "glu": _glu,
    "logsumexp": _log_sum_exp,
    "adaptive_max_pool2d": adaptive_max,
    **dict.fromkeys(("addmm", "baddbmm"), _product_and_sum),
    "var": _spread(False),
    "std": _spread(True),
    "norm": _norm,
    **dict.fromkeys(("linalg_norm", "linalg_vector_norm"), _linalg_norm),
    "normalize": _normalize,
    "einsum": _einsum,
    "dropout2d": lambda b, input, p=0.5, training=True, inplace=False: channel_dropout(b, input, p),
}

MODULES_OF: dict[str, Callable[..., Any]] = {  # (builder, module, path, inputs) -> values
    "Mish": lambda b, m, path, input: COMPOSED["mish"](b, input),
    "SELU": lambda b, m, path, input: COMPOSED["selu"](b, input),
    "Softsign": lambda b, m, path, input: COMPOSED["softsign"](b, input),
    "LogSigmoid": lambda b, m, path, input: COMPOSED["logsigmoid"](b, input),
    "AdaptiveMaxPool2d": lambda b, m, path, input: adaptive_max(b, input, m.output_size, m.return_indices),
    "GLU": lambda b, m, path, input: _glu(b, input, m.dim),
    "Dropout2d": lambda b, m, path, input: channel_dropout(b, input, m.p),
    **{
        f"{name}Pad{size}d": lambda b, m, path, input, mode=mode: edges(b, input, m.padding, mode)
        for name, mode in (("Reflection", "reflect"), ("Replication", "replicate"), ("Circular", "circular"))
        for size in (1, 2)
    },
    **dict.fromkeys(("RNNCell", "GRUCell", "LSTMCell"), cell),
}
