"""Lesson 1: what waits behind a lazy array, as MLX itself reports it."""

import io
import re

import mlx.core as mx
from boxes import PALE_BLUE, PALE_GREEN, PALE_ORANGE, arrow, board, box, words


def recorded(array: mx.array) -> list[str]:
    """The names of the operations behind an array, in the order in which they will run."""
    text = io.StringIO()
    mx.export_to_dot(text, array)
    return re.findall(r'label ="(\w+)", shape=rectangle', text.getvalue())


def lazy():
    """Two records: y before its numbers are asked for, with every operation as a box, and y afterwards."""
    figure, ax = board(10.4, 3.7)
    y = mx.exp(mx.array([1.0, 2.0, 3.0])) * 2 + 1
    names = recorded(y)
    assert sorted(names) == ["Add", "Broadcast", "Broadcast", "Exp", "Multiply"], names
    words(ax, (0.1, 3.5), f"y = mx.exp(x) * 2 + 1     {len(names)} operations wait", ha="left", family="monospace")
    chain = [("x", PALE_BLUE), ("Exp", PALE_ORANGE), ("Multiply", PALE_ORANGE), ("Add", PALE_ORANGE), ("y", "#ffffff")]
    places = [(0.95 + 2.1 * i, 2.85) for i in range(len(chain))]
    for start, end in zip(places, places[1:]):
        arrow(ax, (start[0] + 0.75, start[1]), (end[0] - 0.75, end[1]))
    for (name, colour), place in zip(chain, places):
        box(ax, place, "y: no numbers yet" if name == "y" else name, colour)
    for number, place in (("2", places[2]), ("1", places[3])):
        arrow(ax, (place[0], 2.21), (place[0], 2.54))
        box(ax, (place[0], 1.9), f"Broadcast({number})", PALE_ORANGE)
    mx.eval(y)
    words(ax, (0.1, 1.2), f"mx.eval(y)     {len(recorded(y))} operations wait", ha="left", family="monospace")
    box(ax, (places[0][0], 0.55), "x", PALE_BLUE)
    words(ax, ((places[1][0] + places[3][0]) / 2, 0.55), "the record is gone", "#6b7580", fontstyle="italic")
    box(
        ax,
        (places[4][0] - 0.3, 0.55),
        "y: [" + ", ".join(f"{v:.2f}" for v in y.tolist()) + "]",
        PALE_GREEN,
        (2.1, 0.62),
    )
    return figure


FIGURES = {"lesson_01_lazy.png": lazy}
