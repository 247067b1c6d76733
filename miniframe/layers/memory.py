"""What attention need not compute again: the keys and values of the places that came before.

Where a text is written token by token, everything before the last token is as it was one step ago. ``with
remembering(model):`` lets every attention keep its keys and values, so that a call needs the new places only. It is for
evaluation: nothing here has a backward.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx

from ..core.module import Module


class Memories:
    """The keys and values of every attention, by the layer, for one text (or several of the same length)."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[mx.array, mx.array]] = {}

    @property
    def length(self) -> int:
        """How many places are remembered."""
        return next((keys.shape[2] for keys, _ in self._kept.values()), 0)

    def places(self, layer: Module, new: int) -> mx.array:
        """The numbers of ``new`` places behind those that this layer remembers."""
        before = self._kept[id(layer)][0].shape[2] if id(layer) in self._kept else 0
        return mx.arange(before, before + new)

    def joined(self, layer: Module, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """All keys and values of this layer so far, the new ones last. (N, G, S, D)."""
        if id(layer) in self._kept:
            old_keys, old_values = self._kept[id(layer)]
            keys, values = mx.concatenate([old_keys, keys], axis=2), mx.concatenate([old_values, values], axis=2)
        self._kept[id(layer)] = keys, values
        return keys, values

    def forget(self) -> None:
        """Begin anew."""
        self._kept.clear()


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
        ValueError: for a model whose attention sees later places, too: what it computed would change.
    """
    for name, layer in model.named_modules():
        attention = getattr(layer, "attention", None)
        if getattr(attention, "causal", True) is False:
            raise ValueError(f"remembering: {name} is not causal, so nothing that it computes can be kept")
    before, _this_thread.memories = _this_thread.memories, Memories()
    try:
        yield _this_thread.memories
    finally:
        _this_thread.memories = before
