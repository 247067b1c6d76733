"""Lesson 20: the time of a training step over the width of the network, as lesson_20_measure.py found it."""

import json
from pathlib import Path

from boxes import BLUE, ORANGE

from miniframe.plots.canvas import caption, legend, logarithmic, sheet


def widths():
    measured = json.loads(Path(__file__).with_name("lesson_20.json").read_text())
    across = measured["widths"]
    figure, axes = sheet(1, 1, (6.4, 4.4))
    ax = axes[0, 0]
    for (name, values), colour, marker in zip(measured["milliseconds"].items(), (ORANGE, BLUE), "os"):
        ax.plot(across, values, color=colour, marker=marker, markersize=5, label=name)
    ax.set_xscale("log")
    ax.set_xticks(across, across)
    ax.minorticks_off()
    logarithmic(ax)
    ax.set_xlabel("width of the hidden layers")
    ax.set_ylabel("milliseconds per step")
    caption(ax, f"one training step, batch of 100, best of {measured['rounds']}")
    legend(ax)
    return figure


FIGURES = {"lesson_20_widths.png": widths}
