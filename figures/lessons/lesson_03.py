"""Lesson 3: f = (x + y) z, one picture for each step forward and backward; the numbers come from the graph itself."""

from boxes import BLUE, FAINT, ORANGE, PALE_BLUE, PALE_ORANGE, arrow, bare, words

import miniframe as mf
from miniframe.plots.canvas import INK, caption, sheet

PLACES = {"x": (0.4, 3.2), "y": (0.4, 1.8), "z": (0.4, 0.4), "q": (2.0, 2.5), "f": (3.6, 1.45)}
WIRES = [("x", "q"), ("y", "q"), ("q", "f"), ("z", "f")]
STEPS = [
    ("the inputs", "xyz", ""),
    ("forward: q = x + y", "xyzq", ""),
    ("forward: f = q z", "xyzqf", ""),
    ("backward: start with ∂f/∂f = 1", "xyzqf", "f"),
    ("the product swaps:\n∂f/∂q = 1 · z,  ∂f/∂z = 1 · q", "xyzqf", "fqz"),
    ("the sum passes on:\n∂f/∂x = ∂f/∂y = ∂f/∂q", "xyzqf", "fqzxy"),
]


def nodes() -> dict[str, mf.Node]:
    x, y, z = mf.Variable(-2.0), mf.Variable(5.0), mf.Variable(-4.0)
    q = x + y
    f = q * z
    f.backward()
    return {"x": x, "y": y, "z": z, "q": q, "f": f}


def steps():
    from matplotlib.patches import Circle

    figure, axes = sheet(2, 3, (10.8, 7.9))
    found = nodes()
    fresh_before = ("", "")
    for ax, (title, valued, graded) in zip(axes.flat, STEPS):
        bare(ax)
        ax.set_xlim(-0.2, 4.3)
        ax.set_ylim(-0.3, 3.9)
        ax.set_aspect("equal")
        caption(ax, title)
        new = set(valued + graded) - set(fresh_before[0]) if not graded else set(graded) - set(fresh_before[1])
        for start, end in WIRES:
            active = (end in new and not graded) or (start in new and bool(graded))
            (x0, y0), (x1, y1) = PLACES[start], PLACES[end]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            dx, dy = (x1 - x0) / length * 0.33, (y1 - y0) / length * 0.33
            ends = ((x0 + dx, y0 + dy), (x1 - dx, y1 - dy))
            colour = (ORANGE if graded else BLUE) if active else "#a9b2ba"
            arrow(ax, *(reversed(ends) if active and graded else ends), colour=colour, lw=2 if active else 1)
        for name, at in PLACES.items():
            pale = FAINT if name not in new else PALE_ORANGE if graded else PALE_BLUE
            ax.add_patch(Circle(at, 0.3, facecolor=pale, edgecolor=INK, linewidth=0.9))
            words(ax, at, {"q": "+", "f": "×"}.get(name, name), fontsize=13)
            label = name + " = " if name in "qf" else ""
            if name in valued:
                words(ax, (at[0], at[1] + 0.47), f"{label}{found[name].value.item():g}", BLUE)
            if name in graded:
                words(ax, (at[0], at[1] - 0.47), f"grad {found[name].grad.item():g}", ORANGE)
        fresh_before = (valued, graded)
    return figure


FIGURES = {"lesson_03_steps.png": steps}
