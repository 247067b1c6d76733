"""What need not be computed again: keys and values of the places that came before, and the state of recurrent layers.

Where a text is written token by token, everything before the last token is as it was one step ago. ``with
remembering(model):`` lets every attention keep its keys and values, and every recurrent layer its last state, so that a
call needs the new places only. It is for evaluation: nothing here has a backward.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import mlx.core as mx

from ..core.module import Module


class Memories:
    """The keys and values of every attention and the states of recurrent layers, for one text (or several as long).

    Keys and values grow with every call, or are given room once (``make_room``): then all arrays keep their shapes, so
    that one-token calls can be compiled. What they compute with is in ``cells``.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[mx.array, ...]] = {}  # keys and values, by the layer
        self._states: dict[int, tuple[mx.array, ...]] = {}
        self._read: dict[int, int] = {}  # how many places each recurrent layer has read, or has room for
        self._place: mx.array | None = None  # with room: where the next token goes, (1,)

    @property
    def length(self) -> int:
        """How many places are remembered, or have room."""
        return next((keys.shape[2] for keys, _ in self._kept.values()), max(self._read.values(), default=0))

    def places(self, layer: Module, new: int) -> mx.array:
        """The numbers of ``new`` places behind those that this layer remembers."""
        if self._place is not None:
            return self._place
        before = self._kept[id(layer)][0].shape[2] if id(layer) in self._kept else 0
        return mx.arange(before, before + new)

    def joined(self, layer: Module, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array, mx.array | None]:
        """All keys and values of this layer so far, the new ones last, (N, G, S, D); with room, also who is seen."""
        seen = None
        if id(layer) in self._kept:
            both = zip(self._kept[id(layer)], (keys, values))
            if self._place is None:
                keys, values = (mx.concatenate([*parts], axis=2) for parts in both)
            else:
                keys, values = (mx.slice_update(old, new, self._place, axes=[2]) for old, new in both)
                seen = (mx.arange(keys.shape[2]) <= self._place)[None, None, None]
        self._kept[id(layer)] = keys, values
        return keys, values, seen

    def state(self, layer: Module) -> tuple[mx.array, ...]:
        """The state in which the last call left this layer; () if there was none."""
        return self._states.get(id(layer), ())

    def leave(self, layer: Module, state: Sequence[mx.array], new: int) -> None:
        """Keep the state of this layer, which has read ``new`` places more."""
        self._states[id(layer)] = tuple(state)
        if self._place is None:
            self._read[id(layer)] = self._read.get(id(layer), 0) + new

    def make_room(self, places: int) -> None:
        """From now on there are so many places, and calls have one token."""
        self._place = mx.array([self.length])
        more = [(0, 0), (0, 0), (0, places - self.length), (0, 0)]
        self._read = dict.fromkeys(self._read, places)
        self._kept = {layer: (mx.pad(k, more), mx.pad(v, more)) for layer, (k, v) in self._kept.items()}

    @property
    def cells(self) -> list[mx.array]:
        """The place of the next token, all keys and values, and all states."""
        assert self._place is not None
        parts = [*self._kept.values(), *self._states.values()]
        return [self._place, *(array for part in parts for array in part)]

    def put(self, cells: list[mx.array]) -> None:
        """Others in the place of ``cells``."""
        self._place, *arrays = cells
        rest = iter(arrays)
        for kept in (self._kept, self._states):
            kept.update({layer: tuple(islice(rest, len(part))) for layer, part in kept.items()})

    def forget(self) -> None:
        """Begin anew."""
        for kept in (self._kept, self._states, self._read):
            kept.clear()
        self._place = None


class _ThisThread(threading.local):
    memories: Memories | None = None


_this_thread = _ThisThread()


def current() -> Memories | None:
    """The memories of the text that this thread is writing, if it is."""
    return _this_thread.memories


@contextmanager
def remembering(model: Module) -> Iterator[Memories]:
    """Inside, calls continue the text of the calls before; ``forget`` begins a new one.

    Raises:
        ValueError: for a model whose attention or recurrent layers see later places, too: what they computed would
            change.
    """
    for name, layer in model.named_modules():
        causal = getattr(getattr(layer, "attention", None), "causal", True)
        later = "is not causal" if causal is False else ""
        if getattr(layer, "directions", 1) == 2:
            later = "reads from the end, too"
        if later:
            place = name or layer.title()
            raise ValueError(f"remembering: {place} {later}, so nothing that it computes can be kept")
    before, _this_thread.memories = _this_thread.memories, Memories()
    try:
        yield _this_thread.memories
    finally:
        _this_thread.memories = before
