"""Boxes and arrows, for pictures of computations."""

from typing import Any

from miniframe.plots.canvas import COLOURS, FAINT, INK, bare, sheet

SIZE = (1.5, 0.62)


def board(width: float, height: float) -> Any:
    """A figure and one empty panel whose units are inches."""
    figure, axes = sheet(1, 1, (width, height))
    ax = axes[0, 0]
    bare(ax)
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    ax.set_aspect("equal")
    return figure, ax


def box(ax: Any, at: tuple[float, float], text: str, colour: str = FAINT, size: tuple[float, float] = SIZE) -> None:
    """A rounded box centred on ``at``."""
    from matplotlib.patches import FancyBboxPatch

    (x, y), (w, h) = at, size
    style = "round,pad=0,rounding_size=0.1"
    ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=style, facecolor=colour, edgecolor=INK, lw=0.9))
    ax.text(x, y, text, ha="center", va="center", fontsize=10, color=INK)


def arrow(ax: Any, start: tuple[float, float], end: tuple[float, float], colour: str = INK, **options: Any) -> None:
    """An arrow between two points."""
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 0, "shrinkB": 0, **options}
    ax.annotate("", end, start, arrowprops=style)


def words(ax: Any, at: tuple[float, float], text: str, colour: str = INK, **options: Any) -> None:
    """Text centred on ``at``."""
    ax.text(*at, text, **{"ha": "center", "va": "center", "fontsize": 10, "color": colour, **options})


BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
PALE_BLUE, PALE_ORANGE, PALE_GREEN = "#dbe7f5", "#fbe6d4", "#dcefe6"
