"""The one stream of random numbers (weights, Dropout, shuffling): seeding it, keeping its state, putting it back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

State = tuple[int, int]


class _ThisThread(threading.local):
    """``key`` is that of the draws which are being repeated in the thread that asks; None where none are."""

    key: mx.array | None = None


_this_thread = _ThisThread()


def seed(number: int) -> None:
    """Make everything that follows repeatable: initial weights, Dropout masks, shuffles without a seed of their own.

    >>> seed(0)
    >>> a = mx.random.uniform().item()
    >>> seed(0)
    >>> a == mx.random.uniform().item()
    True
    """
    mx.random.seed(number)


def get_key() -> mx.array:
    """The generator's key as MLX holds it, without waiting for arithmetic under way; ``as_state`` reads it."""
    return mx.random.state[0]  # type: ignore[index]  # a list, whatever the stubs say


def as_state(key: mx.array) -> State:
    """A key as two numbers that a file can hold."""
    numbers: Any = key.tolist()
    return numbers[0], numbers[1]


def get_state() -> State:
    """The state of MLX's generator."""
    return as_state(get_key())


def set_state(state: State) -> None:
    """Continue from a state that ``get_state`` gave."""
    high, low = state
    mx.random.seed((high << 32) | low)  # MLX's key is the seed's two halves


def next_key() -> mx.array | None:
    """For the draw of a layer: ``mx.random.normal(shape, key=next_key())``, which ``repeated`` can then repeat.

    None, as always but there, lets MLX take the next key from its own stream.
    """
    if _this_thread.key is None:
        return None
    _this_thread.key, key = mx.random.split(_this_thread.key)  # as MLX's own stream goes on
    return key


def key_of_draws() -> mx.array:
    """The key from which ``next_key`` goes on: that of ``get_key``, or of the draws that are being repeated."""
    return get_key() if _this_thread.key is None else _this_thread.key


@contextmanager
def repeated(key: mx.array) -> Iterator[None]:
    """Inside, layers draw the numbers that they drew when ``key_of_draws`` gave this key; the stream stays where it is.

    >>> key = key_of_draws()
    >>> a = mx.random.uniform(key=next_key()).item()
    >>> with repeated(key):
    ...     b = mx.random.uniform(key=next_key()).item()
    >>> a == b
    True
    """
    before, _this_thread.key = _this_thread.key, key
    try:
        yield
    finally:
        _this_thread.key = before
