"""The one stream of random numbers (weights, Dropout, shuffling): seeding it, keeping its state, putting it back."""

from __future__ import annotations

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


def get_state() -> State:
    """The state of MLX's generator, as two numbers that a file can hold."""
    high, low = mx.random.state[0].tolist()  # type: ignore[index]  # a list, whatever the stubs say
    return high, low


def set_state(state: State) -> None:
    """Continue from a state that ``get_state`` gave."""
    high, low = state
    mx.random.seed((high << 32) | low)  # MLX's state is the seed's two halves
