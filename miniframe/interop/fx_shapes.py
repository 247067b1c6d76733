"""Calls of PyTorch that rearrange: reshape, permute, cat, split, indexing and their like.

The functions have PyTorch's own arguments after the builder. What a shape has become is known from the trace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..layers.arithmetic import Index, Multiply
from .fx_functions import embedding
from .fx_table import Builder, Call
from .fx_trace import Seen, Varies
from .fx_values import Places, Value, plain


def _reshape(b: Builder, input: Value, *shape: Any, **named: Any) -> Value:
    """Any call that only gives the numbers another shape, which the trace knows."""
    return b.reshaped(input, b.seen)


def _permute(b: Builder, input: Value, *dims: Any) -> Value:
    return b.turned(input, dims[0] if isinstance(dims[0], (tuple, list)) else dims)


def _transpose(b: Builder, input: Value, dim0: int, dim1: int) -> Value:
    dims = list(range(input.ndim))
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return b.turned(input, dims)


def _t(b: Builder, input: Value) -> Value:
    return b.turned(input, tuple(reversed(range(input.ndim))))


def _movedim(b: Builder, input: Value, source: int, destination: int) -> Value:
    dims = [axis for axis in range(input.ndim) if axis != source % input.ndim]
    dims.insert(destination % input.ndim, source % input.ndim)
    return b.turned(input, dims)


def _not_places(part: Any) -> Any:
    if isinstance(part, Places):
        raise ValueError("asks for the places of the largest or smallest")
    return part


def _attribute(b: Builder, input: Any, name: str) -> Value:
    if isinstance(input, tuple) and name in ("values", "indices"):
        return _not_places(input[name == "indices"])  # type: ignore[no-any-return]
    if name not in ("T", "mT", "data"):
        raise ValueError(f"its attribute {name}")
    return input if name == "data" else _t(b, input) if name == "T" else _transpose(b, input, -2, -1)


def _cat(b: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    first = next((value for value in tensors if value.channel is not None), tensors[0])
    nodes = [b.ordered(value, first.order).node for value in tensors]
    return b.result(b.named(mf.Concatenate(first.axis(dim)), "cat")(*nodes), first.order, first.channel)


def _stack(b: Builder, tensors: Sequence[Value], dim: int = 0) -> Value:
    ndim = tensors[0].ndim
    nodes = [b.ordered(value, plain(ndim)).node for value in tensors]
    return b.result(b.named(mf.Stack(dim % (ndim + 1)), "stack")(*nodes), plain(ndim + 1))


def _split(b: Builder, input: Value, split_size_or_sections: Any = 1, dim: int = 0) -> tuple[Value, ...]:
    """Also chunk: where to cut is known from the pieces."""
    axis = dim % input.ndim
    if any(seen.grows[axis] for seen in b.seen):
        raise ValueError("cuts the batch")
    cuts = [0]
    for seen in b.seen:
        cuts.append(cuts[-1] + seen.shape[axis])
    parts = b.named(mf.Split(cuts[1:-1], input.axis(dim)), "split")(input.node) if len(cuts) > 2 else (input.node,)
    return tuple(b.result(part, input.order, input.channel, seen) for part, seen in zip(parts, b.seen))


def _unbind(b: Builder, input: Value, dim: int = 0) -> tuple[Value, ...]:
    found = []
    for position, seen in enumerate(b.seen):
        index = tuple(position if axis == dim % input.ndim else slice(None) for axis in range(input.ndim))
        found.append(_indexed(b, input, index, seen))
    return tuple(found)


def _getitem(b: Builder, input: Any, index: Any) -> Any:
    """x[...] with numbers, slices, None, ..., and one array of numbers that are known; rows of a learned table."""
    if isinstance(input, (tuple, list)):
        return _not_places(input[index])
    parts = index if isinstance(index, tuple) else (index,)
    ids = parts[0]
    if input.parameter and input.ndim == 2 and len(parts) == 1 and isinstance(ids, Value) and ids.seen.constant is None:
        return embedding(b, ids, input)
    parts = _written_out(tuple(_known(part) for part in parts), input.ndim)
    arrays = [k for k, part in enumerate(parts) if isinstance(part, np.ndarray)]
    if not arrays:
        return _indexed(b, input, parts, b.seen)
    numbers = [k for k, part in enumerate(parts) if isinstance(part, (int, np.ndarray))]
    if len(arrays) > 1 or numbers != list(range(numbers[0], numbers[-1] + 1)):
        raise ValueError("indexed with several arrays, or with numbers elsewhere beside an array")
    (place,) = arrays
    axis = sum(part is not None for part in parts[:place])
    picked = taken(b, input, axis, parts[place].ravel())
    rest = (*parts[:place], slice(None), *parts[place + 1 :])
    new = sum(not isinstance(part, int) for part in rest[:place])  # where PyTorch has the array's axes in the end
    seen, size = b.seen, parts[place].ndim
    if size != 1:  # as one axis first
        count = parts[place].size

        def joined(part: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
            return (*part[:new], one, *part[new + size :])

        seen = Seen(joined(seen.shape, count), joined(seen.grows, False), joined(seen.other, count), seen.dtype)
    found = _indexed(b, picked, rest, seen)
    return found if size == 1 else b.reshaped(found, b.seen)


def _known(part: Any) -> Any:
    """A part of an index, an array of numbers for what has them."""
    if isinstance(part, (Value, Varies)):
        if isinstance(part, Varies) or part.seen.constant is None:
            raise ValueError("indexed with numbers that depend on the data or on the number of samples")
        part = part.seen.constant.numpy()
        part = int(part) if part.ndim == 0 and part.dtype != bool else part
    if isinstance(part, list):
        part = np.array(part)
    if isinstance(part, np.ndarray) and part.dtype == bool:
        if part.ndim != 1:
            raise ValueError("indexed with bools of several axes")
        part = np.flatnonzero(part)
    if not (part is None or part is Ellipsis or isinstance(part, (int, slice, np.ndarray))):
        raise ValueError("indexed with other things than numbers, slices and one array")
    return part


def taken(b: Builder, value: Value, axis: int, numbers: np.ndarray) -> Value:
    """The elements with these numbers along one of PyTorch's axes, which keeps its place."""
    seen = value.seen
    if seen.grows[axis]:
        raise ValueError("picks samples by their numbers")
    here = tuple(numbers.tolist() if k == axis else slice(None) for k in value.order)
    shape, other = ((*part[:axis], len(numbers), *part[axis + 1 :]) for part in (seen.shape, seen.other))
    node = b.named(Index(here), "index")(value.node)
    return Value(node, Seen(shape, seen.grows, other, seen.dtype), value.order, value.channel)


def _index_select(b: Builder, input: Value, dim: int, index: Value) -> Value:
    numbers = _known(index)
    return taken(b, input, dim % input.ndim, np.atleast_1d(numbers))


def _flip(b: Builder, input: Value, *dims: Any) -> Value:
    for dim in dims[0] if isinstance(dims[0], (tuple, list)) else dims:
        input = taken(b, input, dim % input.ndim, np.arange(input.seen.shape[dim])[::-1])
    return input


def _roll(b: Builder, input: Value, shifts: Any, dims: Any = None) -> Value:
    if dims is None:
        raise ValueError("without dims")
    shifts, dims = (part if isinstance(part, (tuple, list)) else (part,) for part in (shifts, dims))
    for shift, dim in zip(shifts, dims):
        input = taken(b, input, dim % input.ndim, np.roll(np.arange(input.seen.shape[dim]), shift))
    return input


def _indexed(b: Builder, value: Value, index: tuple[Any, ...], seen: Seen) -> Value:
    """x[...] with numbers, slices and None, a part for every axis; the rest of the axes stay in their order."""
    taken = [part for part in index if part is not None]
    here = tuple(taken[axis] for axis in value.order)
    order, channel, new = [], None, 0
    names: dict[int, int] = {}  # what PyTorch's axes are called afterwards
    axis = 0
    for part in index:
        if part is not None:
            if not isinstance(part, int):
                names[axis] = new
                new += 1
            axis += 1
        else:
            new += 1
    order = [names[axis] for axis in value.order if axis in names]
    channel = names.get(value.channel) if value.channel is not None else None
    node = value.node
    if any(part != slice(None) for part in here):
        node = b.named(Index(here), "index")(node)
    added = [k for k in range(new) if k not in order]
    if not added:
        return Value(node, seen, tuple(order), channel)
    dropped = seen.picked([k for k in range(new) if k not in added])
    renamed = [sum(other < k and other not in added for other in range(new)) for k in order]
    return b.reshaped(Value(node, dropped, tuple(renamed)), seen)


def _written_out(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """The index with a part for every axis."""
    missing = (slice(None),) * (ndim - sum(part is not None and part is not Ellipsis for part in index))
    where = [k for k, part in enumerate(index) if part is Ellipsis]
    if not where:
        return index + missing
    return index[: where[0]] + missing + index[where[0] + 1 :]


def _select(b: Builder, input: Value, dim: int, index: int) -> Value:
    parts = tuple(index if axis == dim % input.ndim else slice(None) for axis in range(input.ndim))
    return _indexed(b, input, parts, b.seen)


def _narrow(b: Builder, input: Value, dim: int, start: int, length: int) -> Value:
    part = slice(start, start + length)
    parts = tuple(part if axis == dim % input.ndim else slice(None) for axis in range(input.ndim))
    return _indexed(b, input, parts, b.seen)


def _expand(b: Builder, input: Value, *sizes: Any) -> Value:
    """More copies along axes of length 1: as many as there are samples, or a number of them."""
    seen: Seen = b.seen
    value = b.reshaped(input, _with_ones(input.seen, len(seen.shape)))
    new = [axis for axis in range(value.ndim) if seen.shape[axis] != value.seen.shape[axis]]
    if any(value.seen.shape[axis] != 1 for axis in new):
        raise ValueError("copies along an axis that is longer than 1")
    growing = [axis for axis in range(value.ndim) if seen.grows[axis] and not value.seen.grows[axis]]
    order = (*growing, *(axis for axis in range(value.ndim) if axis not in growing))
    value = b.ordered(value, order)
    fixed = [seen.shape[axis] if axis in new and not seen.grows[axis] else 1 for axis in order]
    node = value.node
    if math.prod(fixed) > 1:
        node = b.named(Multiply(), "expand")(node, mx.ones(fixed))
    if len(growing) > 1:
        raise ValueError("copies for every sample along two axes")
    if growing:
        node = b.named(mf.ForEachSample(), "expand")(node, b.batch())
    return b.result(node, order, value.channel)


def _with_ones(seen: Seen, ndim: int) -> Seen:
    new = ndim - len(seen.shape)
    return Seen((1,) * new + seen.shape, (False,) * new + seen.grows, (1,) * new + seen.other, seen.dtype)


def _pixel_shuffle(b: Builder, input: Value, upscale_factor: int) -> Value:
    r = upscale_factor

    def cut(shape: tuple[int, ...]) -> tuple[int, ...]:
        n, c, h, w = shape
        return n, c // (r * r), r, r, h, w

    seen: Seen = b.seen
    split = Seen(cut(input.seen.shape), (input.seen.grows[0], *(False,) * 5), cut(input.seen.other), input.seen.dtype)
    wide = b.turned(b.reshaped(input, split), (0, 1, 4, 2, 5, 3))
    wide = b.ordered(wide, (0, 2, 3, 4, 5, 1)) if wide.order != (0, 2, 3, 4, 5, 1) else wide
    found = b.reshaped(wide, seen)
    return Value(found.node, found.seen, found.order, 1)


def _channel_shuffle(b: Builder, input: Value, groups: int) -> Value:
    return b.on_channels(b.named(mf.ChannelShuffle(groups), "channel_shuffle"), input)


SHAPES: dict[str, Call] = {
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze", "ravel"), _reshape),
    **dict.fromkeys(("reshape_as", "view_as"), _reshape),
    **dict.fromkeys(("permute",), _permute),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    "t": _t,
    "movedim": _movedim,
    "getattr": _attribute,
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "stack": _stack,
    **dict.fromkeys(("split", "chunk", "tensor_split"), _split),
    "unbind": _unbind,
    "getitem": _getitem,
    "select": _select,
    "index_select": _index_select,
    "flip": _flip,
    "roll": _roll,
    "narrow": _narrow,
    **dict.fromkeys(("expand", "expand_as", "repeat"), _expand),
    "pixel_shuffle": _pixel_shuffle,
    "channel_shuffle": _channel_shuffle,
}
