"""The sheet that every picture is drawn on: one style, one set of colours, and what to say without matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinguishable with every kind of colour vision, and in print: blue, orange, green, purple, ...
COLOURS = ("#2f6db5", "#e07b28", "#3a9a6b", "#8a5bb0", "#c24f57", "#6b7580", "#b59a2c", "#3fa7bf", "#d27fb0", "#444444")
INK, FAINT = "#30363d", "#d8dde2"
PANEL = 3.6  # inches


def sheet(rows: int = 1, columns: int = 1, size: tuple[float, float] | None = None) -> tuple[Figure, np.ndarray]:
    """A new figure and its axes as a (rows, columns) array.

    Args:
        size: width and height in inches; by default square panels.

    Raises:
        ImportError: without matplotlib, naming the extra that brings it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install miniframe[figures]") from error
    figure = Figure(figsize=size or (PANEL * columns, PANEL * rows), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        clean(ax)
    figure._repr_png_ = lambda: png(figure)  # type: ignore[attr-defined]  # a notebook shows it without pyplot
    return figure, axes


def png(figure: Figure) -> bytes:
    """The picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def clean(ax: Axes) -> None:
    """Two thin axes, a faint grid behind the data, small labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.grid(True, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=9)
    ax.xaxis.label.set_fontsize(10)
    ax.yaxis.label.set_fontsize(10)


def caption(ax: Axes, text: str) -> None:
    """The words above a panel."""
    ax.set_title(text, fontsize=11, color=INK)


def logarithmic(ax: Axes) -> None:
    """A logarithmic scale for the heights, its numbers written as people write them: 0.02, not 2 × 10⁻²."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    within_three_decades = high < 1000 * low
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_three_decades else (1,), numticks=9))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}" if value > 1e-5 else f"{value:.0e}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def bare(ax: Axes) -> None:
    """No axes at all, for images and maps."""
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def panels(count: int, columns: int | None = None) -> tuple[int, int]:
    """(rows, columns) of a grid for ``count`` panels: wider than high, and no row left empty.

    >>> panels(9), panels(6), panels(7, columns=4)
    ((3, 3), (2, 3), (2, 4))
    """
    columns = columns or int(np.ceil(np.sqrt(count)))
    columns = max(1, min(columns, count))
    return -(-count // columns), columns


def named(things: Any, name: str = "") -> dict[str, Any]:
    """One thing or a dict of named things, as a dict: what lets a function draw one panel or several."""
    return dict(things) if isinstance(things, Mapping) else {name: things}


def legend(ax: Axes, **options: Any) -> None:
    """A small legend in a light frame."""
    ax.legend(fontsize=9, frameon=True, framealpha=0.9, edgecolor=FAINT, **options)
