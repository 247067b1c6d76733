"""The one stream of random numbers (weights, Dropout, shuffling): seeding it, keeping its state, putting it back."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

State = tuple[int, int]


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
