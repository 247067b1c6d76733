"""Tables, as they are printed everywhere and as notebooks show them: columns aligned, numbers at their last digit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


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


def sample_shape(shape: Sequence[int]) -> str:
    """The shape of a batch of such samples: ``(28, 28, 1)`` is said as "(batch, 28, 28, 1)"."""
    return "(" + ", ".join(["batch", *map(str, shape)]) + ")"


def html_table(rows: Sequence[Sequence[str]], numbers: int = 0, title: str = "", words: Sequence[str] = ()) -> str:
    """The same as HTML, for notebooks: the first row is the head, ``words`` are lines below.

    >>> html_table([("name", "size"), ("weight", "6")], numbers=1).count("<td")
    2
    """
    columns = len(rows[0])

    def line(row: Sequence[str], tag: str) -> str:
        sides = ["left"] * (columns - numbers) + ["right"] * numbers
        cells = [f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>' for cell, side in zip(row, sides)]
        return f"<tr>{''.join(cells)}</tr>"

    head, *body = rows
    parts = [f"<div><strong>{escape(title)}</strong></div>"] if title else []
    parts += ["<table><thead>", line(head, "th"), "</thead><tbody>", *[line(row, "td") for row in body]]
    return "\n".join([*parts, "</tbody></table>", *[f"<div>{escape(text)}</div>" for text in words]])
