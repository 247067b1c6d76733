"""How things are said, everywhere in the same way: tables, shapes, and names with a number behind them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import mlx.core as mx


def table(rows: Sequence[Sequence[str]], numbers: int = 0) -> list[str]:
    """The lines of a table, its columns aligned.

    Args:
        rows: the cells, row by row.
        numbers: how many columns at the right end hold numbers, which are aligned at their last digit.

    >>> table([("name", "size"), ("weight", "6")], numbers=1)
    ['name    size', 'weight     6']
    """
    columns = len(rows[0])
    widths = [max(len(row[i]) for row in rows) for i in range(columns)]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[: columns - numbers], widths)]
        right = [cell.rjust(width) for cell, width in zip(row[columns - numbers :], widths[columns - numbers :])]
        lines.append("  ".join([*left, *right]).rstrip())
    return lines


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


def sample_shape(shape: Sequence[int]) -> str:
    """The shape of a batch of such samples: ``(28, 28, 1)`` is said as "(batch, 28, 28, 1)"."""
    return "(" + ", ".join(["batch", *map(str, shape)]) + ")"


def shape_text(value: Any) -> str:
    """The shape of an array, of a tuple of arrays, or "number".

    >>> shape_text((mx.zeros((2, 3)), 1.0))
    '(2, 3), number'
    """
    if isinstance(value, tuple):
        return ", ".join(shape_text(part) for part in value)
    return str(value.shape) if isinstance(value, mx.array) else "number"


def brief(value: Any) -> str:
    """A value in a word: a single number as itself, anything larger by its shape."""
    if value is None or isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(brief(item) for item in value) + ")"
    return f"{value.item():.6g}" if value.size == 1 else f"array{value.shape}"
