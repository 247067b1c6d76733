"""How things are said, everywhere in the same way: shapes, values, and names with a number behind them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import mlx.core as mx


def numbered(name: str, taken: Container[str], joint: str = "_") -> str:
    """The name itself, or with the first number from 2 on that nobody has.

    >>> numbered("relu", ["relu", "relu_2"]), numbered("0", ["0"], "#")
    ('relu_3', '0#2')
    """
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}{joint}{number}"
    return found


def shape_text(value: Any) -> str:
    """The shape of an array, of a tuple of arrays, or "number".

    >>> shape_text((mx.zeros((2, 3)), 1.0))
    '(2, 3), number'
    """
    if isinstance(value, tuple):
        return ", ".join(shape_text(part) for part in value)
    return str(value.shape) if isinstance(value, mx.array) else "number"


def quoted(value: Any) -> str:
    """A value from a file as errors show it: cut, where somebody has put a whole book there.

    >>> quoted("dense"), len(quoted("x" * 10_000))
    ("'dense'", 83)
    """
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:60]}...{shown[-20:]}"


def brief(value: Any) -> str:
    """A value in a word: a single number as itself, anything larger by its shape."""
    if value is None or isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(brief(item) for item in value) + ")"
    return f"{value.item():.6g}" if value.size == 1 else f"array{value.shape}"
