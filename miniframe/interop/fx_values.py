"""Values on the way from PyTorch: a node here, and where PyTorch has its axes.

PyTorch puts channels first and miniframe last. So every value has an ``order``: axis k here is PyTorch's axis
order[k]. Turning axes in PyTorch changes only the order; numbers are moved only where a layer needs another order than
it gets, or where axes are joined that do not lie side by side here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .. import layers as mf
from ..core.module import Module
from ..core.node import Node
from ..layers.arithmetic import ReshapeTo, Transpose
from .fx_trace import Seen

Order = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A node with its place in the PyTorch model.

    Attributes:
        node: here.
        seen: PyTorch's shape, and which axes grow with the batch.
        order: axis k here is PyTorch's axis order[k].
        channel: PyTorch's axis of the channels, where that is known.
        parameter: the name of the PyTorch parameter that this is, if it is one.
    """

    node: Node
    seen: Seen
    order: Order
    channel: int | None = None
    parameter: str | None = None

    @property
    def ndim(self) -> int:
        return len(self.seen.shape)

    def axis(self, dim: int) -> int:
        """Where PyTorch's axis is here."""
        return self.order.index(dim % self.ndim)


@dataclass(frozen=True)
class Refused:
    """Stands for what a call without a counterpart would have given, so that the rest can be looked at."""


@dataclass(frozen=True)
class Places:
    """Stands for where the largest or smallest numbers were found, which nobody may ask for here."""


def plain(ndim: int) -> Order:
    """PyTorch's own order."""
    return tuple(range(ndim))


def channels_last(ndim: int) -> Order:
    """The order of what PyTorch has as (N, C, ...): the channels at the end."""
    return (0, *range(2, ndim), 1) if ndim > 2 else plain(ndim)


class Mover:
    """Moves numbers where that is needed, with layers that are named after their place.

    Args:
        place: gives a name to a layer that PyTorch does not name.
    """

    def named(self, layer: Module, kind: str) -> Module:
        """The layer under a name of its own, made of the place in the model and what it does."""
        raise NotImplementedError

    def ordered(self, value: Value, order: Order) -> Value:
        """The value with its axes here in this order."""
        if value.order == order:
            return value
        turn = tuple(value.order.index(axis) for axis in order)
        return replace(value, node=self.named(Transpose(turn), "transpose")(value.node), order=order, parameter=None)

    def turned(self, value: Value, dims: Sequence[int]) -> Value:
        """What PyTorch's permute gives: the same numbers here, with other names for their axes."""
        dims = [dim % value.ndim for dim in dims]
        channel = None if value.channel is None else dims.index(value.channel)
        return Value(value.node, value.seen.picked(dims), tuple(dims.index(axis) for axis in value.order), channel)

    def reshaped(self, value: Value, new: Seen) -> Value:
        """The value in another shape, turned first only where axes that are joined do not lie side by side here."""
        old = value.seen
        groups = _groups(old.shape, new.shape)
        if _groups(old.other, new.other) != groups:
            groups = [(list(range(len(old.shape))), list(range(len(new.shape))))]
        one = {axis for axis, (size, grows) in enumerate(zip(old.shape, old.grows)) if size == 1 and not grows}
        here = [axis for axis in value.order if axis not in one]
        joined = sorted(
            (group for group in groups if set(group[0]) - one),
            key=lambda group: min(here.index(axis) for axis in set(group[0]) - one),
        )
        wanted = [axis for axes, _ in joined for axis in axes if axis not in one]
        if wanted != here:
            value = self.ordered(value, tuple(wanted) + tuple(sorted(one)))
        alone = [g for g in groups if not set(g[0]) - one]
        order = [axis for _, axes in joined for axis in axes]
        for _, axes in alone:  # axes of length 1 stand where PyTorch has them, as far as that goes
            for axis in axes:
                order.insert(sum(other < axis for other in order) if order == sorted(order) else len(order), axis)
        channel = next((b[0] for a, b in groups if a == [value.channel] and len(b) == 1), None)
        sizes, grows = [new.shape[axis] for axis in order], [new.grows[axis] for axis in order]
        before = [old.shape[axis] for axis in value.order]
        node = value.node
        if sizes != before:
            first = value.order[0] if value.order else 0
            kept = bool(order) and (old.shape[first], old.other[first]) == (new.shape[order[0]], new.other[order[0]])
            node = self.named(*_reshape(sizes, grows, kept))(node)
        return Value(node, new, tuple(order), channel)

    def fitted(self, value: Value, ndim: int, order: Order) -> Node:
        """The value as it must stand here to be broadcast with one of this many axes, in this order."""
        new = ndim - value.ndim
        shape, grows = (1,) * new + value.seen.shape, (False,) * new + value.seen.grows
        one = {axis for axis in range(ndim) if shape[axis] == 1 and not grows[axis]}
        wanted = [axis for axis in order if axis not in one]
        if [axis + new for axis in value.order if axis + new not in one] != wanted:
            ones = [axis - new for axis in sorted(one) if axis >= new]
            value = self.ordered(value, (*(axis - new for axis in wanted), *ones))
        sizes, free = [shape[axis] for axis in order], [grows[axis] for axis in order]
        while sizes and sizes[0] == 1 and not free[0]:
            sizes, free = sizes[1:], free[1:]
        if sizes == [value.seen.shape[axis] for axis in value.order]:
            return value.node
        node: Node = self.named(*_reshape(sizes, free, False))(value.node)
        return node


def _reshape(sizes: Sequence[int], grows: Sequence[bool], first_kept: bool) -> tuple[Module, str]:
    """The layer that gives a value these sizes, for any number of samples."""
    if sum(grows) > 1:
        raise ValueError("a shape with the number of samples in several axes")
    if first_kept and len(sizes) > 1 and grows[0]:
        flat = len(sizes) == 2 and sizes[1] > 1
        return (mf.Flatten(), "flatten") if flat else (mf.Reshape(*sizes[1:]), "reshape")
    return ReshapeTo([-1 if free else size for size, free in zip(sizes, grows)]), "reshape"


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: the smallest neighbours in both shapes whose products agree.

    >>> _groups((2, 6, 4), (2, 3, 2, 4)), _groups((2, 3, 4, 4), (2, 48))
    ([([0], [0]), ([1], [1, 2]), ([2], [3])], [([0], [0]), ([1, 2, 3], [1])])
    """
    groups, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        if i == len(old) or j == len(new):  # only axes of length 1 are left over
            groups.append(([i], []) if i < len(old) else ([], [j]))
            i, j = i + (i < len(old)), j + (i == len(old) and j < len(new))
            continue
        a, b, p, q = [i], [j], old[i], new[j]
        while p != q:
            if (p < q and a[-1] + 1 < len(old)) or b[-1] + 1 == len(new):
                a.append(a[-1] + 1)
                p *= old[a[-1]]
            else:
                b.append(b[-1] + 1)
                q *= new[b[-1]]
        groups.append((a, b))
        i, j = a[-1] + 1, b[-1] + 1
    return groups


def reduced(value: Value, dims: Iterable[int], keepdim: bool) -> tuple[Order, int | None]:
    """(order, channel) of what is left when these axes of PyTorch's are summed away."""
    gone = {dim % value.ndim for dim in dims}
    if keepdim:
        return value.order, value.channel
    left = [axis for axis in range(value.ndim) if axis not in gone]
    channel = left.index(value.channel) if value.channel in left else None
    return tuple(left.index(axis) for axis in value.order if axis not in gone), channel
