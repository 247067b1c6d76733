"""Tracing for any batch size: operations whose output's shape MLX can tell from their inputs' shapes alone.

A trace fixes every shape that it writes down. A reshape, a slice, a pad or a fused multiply-add is thus either refused
by a shapeless export or, worse, repeats the batch size that it was traced with. Here they are spelled with operations
that carry no shape of the batch: a reshape with -1, take_along_axis, concatenate, multiply and add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlx.core as mx

from ..backend.stand_ins import stand_ins

Operation = Callable[..., Any]
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "std", "any", "all", "logsumexp")


@contextmanager
def free_of_fixed_shapes(batch: int) -> Iterator[None]:
    """While tracing in this thread, replace the operations that would fix the batch size.

    Args:
        batch: of the traced example; axes whose length it divides are taken for the batch.
    """
    reshape = partial(_reshape, batch)
    makers: list[tuple[Any, str, Callable[[Operation], Operation]]] = [
        (mx, "addmm", lambda old: _addmm),
        (mx, "reshape", reshape),
        (mx.array, "reshape", reshape),
        (mx.array, "__getitem__", _getitem),
        (mx, "take", _take),
        (mx, "pad", lambda old: _pad),
        (mx, "split", lambda old: _split),
        (mx.array, "split", lambda old: _split),
        (mx, "repeat", lambda old: _repeat),
        (mx, "broadcast_to", partial(_broadcast_to, batch)),
        (mx, "softmax", partial(_softmax, batch)),
    ]
    makers += [(owner, name, partial(_reduce, name, batch)) for owner in (mx, mx.array) for name in REDUCTIONS]
    with stand_ins(makers):
        yield


def _addmm(c: mx.array, a: mx.array, b: mx.array, alpha: float = 1.0, beta: float = 1.0) -> mx.array:
    product = a @ b
    return (product if alpha == 1 else alpha * product) + (c if beta == 1 else beta * c)


def _choose(x: mx.array, places: Sequence[int], axis: int) -> mx.array:
    """The elements at these places along an axis, in any number and order."""
    indices = mx.array(list(places), dtype=mx.int32)
    return mx.take_along_axis(x, mx.expand_dims(indices, [a for a in range(x.ndim) if a != axis]), axis=axis)


def _getitem(old: Operation) -> Operation:
    """x[...] with slices, numbers, None and ...; anything else is left as it is."""

    def getitem(x: mx.array, index: Any) -> mx.array:
        parts = list(index) if isinstance(index, tuple) else [index]
        if not all(p is None or p is Ellipsis or isinstance(p, (slice, int)) for p in parts):
            return old(x, index)
        if Ellipsis in parts:
            at = parts.index(Ellipsis)
            parts[at : at + 1] = [slice(None)] * (x.ndim - sum(p is not None for p in parts) + 1)
        axis = 0
        gone: list[int] = []
        new: list[int] = []
        for part in parts:
            if part is None:
                new.append(axis - len(gone) + len(new))
                continue
            if isinstance(part, int):
                x, gone = _choose(x, [part % x.shape[axis]], axis), [*gone, axis]
            elif part != slice(None) and range(x.shape[axis])[part] != range(x.shape[axis]):
                x = _choose(x, range(x.shape[axis])[part], axis)
            axis += 1
        x = mx.squeeze(x, gone) if gone else x
        return mx.expand_dims(x, new) if new else x

    return getitem


def _take(old: Operation) -> Operation:
    """Numbers and constant lists of places along an axis; a lookup in a table of weights is left as it is."""

    def take(x: mx.array, indices: Any, axis: int | None = None, **options: Any) -> mx.array:
        if isinstance(indices, int) and axis is not None:
            return mx.squeeze(_choose(x, [indices % x.shape[axis]], axis % x.ndim), axis)
        return old(x, indices, axis=axis, **options)

    return take


def _reduce(name: str, batch: int, old: Operation) -> Operation:
    """Over axes of length 1 there is nothing to add; MLX (0.32) would crash on it when the file is run."""

    def reduce(x: mx.array, axis: Any = None, keepdims: bool = False, **options: Any) -> mx.array:
        axes = list(range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis)
        _refuse_the_batch(name, x, axes, batch)
        if not axes or any(x.shape[a] != 1 for a in axes):
            return old(x, axis=axis, keepdims=keepdims, **options)
        x = x if keepdims else mx.squeeze(x, axes)
        if name in ("var", "std"):
            return mx.zeros_like(x)
        if x.dtype == mx.bool_ and name in ("sum", "mean", "prod"):
            return x.astype(mx.float32 if name == "mean" else mx.int32)
        return x.astype(mx.bool_) if name in ("any", "all") else x

    return reduce


def _softmax(batch: int, old: Operation) -> Operation:
    """Along an axis of length 1 it is 1, computed without a reduction."""

    def softmax(x: mx.array, axis: Any = None, **options: Any) -> mx.array:
        axes = list(range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis)
        _refuse_the_batch("softmax", x, axes, batch)
        alone = all(x.shape[a] == 1 for a in axes)
        return mx.zeros_like(x) + 1 if alone else old(x, axis=axis, **options)

    return softmax


def _refuse_the_batch(name: str, x: mx.array, axes: Sequence[int], batch: int) -> None:
    if any(x.shape[a] and x.shape[a] % batch == 0 for a in axes):
        raise ValueError(f"{name} runs over the batch, so a sample's output depends on the others")


def _pad(x: mx.array, widths: Any, mode: str = "constant", constant_values: Any = 0, **options: Any) -> mx.array:
    if mode != "constant":
        raise ValueError(f"[pad] mode {mode!r} fixes the batch size")
    if isinstance(widths, int):
        widths = [(widths, widths)] * x.ndim
    elif isinstance(widths[0], int):
        widths = [tuple(widths)] * x.ndim
    for axis, (before, after) in enumerate(widths):
        edges = [
            mx.zeros_like(_choose(x, [0] * width, axis)) + mx.array(constant_values, dtype=x.dtype) if width else None
            for width in (before, after)
        ]
        if before or after:
            x = mx.concatenate([part for part in (edges[0], x, edges[1]) if part is not None], axis=axis)
    return x


def _split(x: mx.array, sections: int | Sequence[int], axis: int = 0, **options: Any) -> list[mx.array]:
    axis, length = axis % x.ndim, x.shape[axis]
    if isinstance(sections, int):
        sections = [length // sections * k for k in range(1, sections)]
    cuts = [0, *sections, length]
    return [_choose(x, range(start, stop), axis) for start, stop in zip(cuts, cuts[1:])]


def _repeat(x: mx.array, repeats: int, axis: int | None = None, **options: Any) -> mx.array:
    if axis is None:
        raise ValueError("[repeat] without an axis fixes the batch size")
    return _choose(x, [place for place in range(x.shape[axis]) for _ in range(repeats)], axis % x.ndim)


def _broadcast_to(batch: int, old: Operation) -> Operation:
    """Stretching along other axes than the batch, by adding zeros of the wanted lengths."""

    def broadcast_to(x: mx.array, shape: Sequence[int], **options: Any) -> mx.array:
        padded = [1] * (len(shape) - x.ndim) + list(x.shape)
        if not any(n % batch == 0 for n in padded):
            return old(x, shape, **options)
        zeros = mx.zeros([1 if a == b else b for a, b in zip(padded, shape)], dtype=x.dtype)
        return x + zeros if x.dtype != mx.bool_ else x | zeros

    return broadcast_to


def _reshape(batch: int, old: Operation) -> Operation:
    """Write -1 for the axis that holds the batch: MLX then computes it anew for every input."""

    def reshape(x: mx.array, *shape: Any, **options: Any) -> mx.array:
        sizes = options["shape"] if "shape" in options else shape[0] if isinstance(shape[0], Sequence) else shape
        rest = x.size // max(math.prod(n for n in sizes if n != -1), 1)
        target = [rest if n == -1 else n for n in sizes]
        holds_batch = [axis for axis, n in enumerate(target) if n and n % batch == 0]
        if len(holds_batch) == 1 and any(n % batch == 0 for n in x.shape):
            target[holds_batch[0]] = -1
        return old(x, target)

    return reshape
