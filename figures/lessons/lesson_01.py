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
    figure, ax = board(9.6, 2.9)
    x = mx.array([1.0, 2.0, 3.0])
    y = mx.exp(x) * 2 + 1
    for height, title in ((2.1, "y = mx.exp(x) * 2 + 1"), (0.75, "mx.eval(y)")):
        operations = recorded(y)
        words(ax, (0.1, height + 0.55), f"{title}    {len(operations)} operations wait", ha="left", family="monospace")
        steps = [name for name in operations if name != "Broadcast"]
        names = ["x"] + [f"{name}\n(with broadcast)" if name in ("Multiply", "Add") else name for name in steps]
        places = [(1.0 + 1.75 * i, height) for i in range(len(names))]
        value = "[" + ", ".join(f"{v:.2f}" for v in y.tolist()) + "]" if not operations else "y\nno numbers yet"
        end = (8.3, height)
        for start, stop in zip(places, [*places[1:], end]):
            arrow(ax, (start[0] + 0.75, height), (stop[0] - (0.75 if stop != end else 1.05), height))
        for name, at in zip(names, places):
            box(ax, at, name, PALE_BLUE if name == "x" else PALE_ORANGE)
        box(ax, end, value if operations else f"y\n{value}", PALE_GREEN if not operations else "#ffffff", (2.1, 0.62))
        mx.eval(y)
    return figure


FIGURES = {"lesson_01_lazy.png": lazy}
