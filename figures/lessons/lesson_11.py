"""Lesson 11: optimizers race down the same valley."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, INK, caption, legend, sheet

A = mx.array([20.0, 1.0])
RACERS = {
    "SGD\nlr 0.05": lambda w: mf.SGD(w, lr=0.05),
    "SGD\nlr 0.095": lambda w: mf.SGD(w, lr=0.095),
    "momentum 0.8\nlr 0.05": lambda w: mf.SGD(w, lr=0.05, momentum=0.8),
    "Nesterov 0.8\nlr 0.05": lambda w: mf.SGD(w, lr=0.05, momentum=0.8, nesterov=True),
    "Adam\nlr 0.5": lambda w: mf.Adam(w, lr=0.5),
}
MARKERS = "os^Dv"


def path(make, steps: int = 50) -> np.ndarray:
    w = mf.Parameter(mx.array([1.0, 10.0]))
    optimizer = make([w])
    points = [w.value.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        w.accumulate(A * w.value)
        optimizer.step()
        points.append(w.value.tolist())
    return np.array(points)


def race():
    """Five valleys at true scale, seen from above, and the losses beside them."""
    figure, axes = sheet(1, 6, (13.5, 6.2))
    axes[0, 0].get_gridspec().set_width_ratios([1, 1, 1, 1, 1, 3.2])
    across, along = np.meshgrid(np.linspace(-1.7, 1.7, 171), np.linspace(-3, 11, 281))
    heights = 0.5 * (20 * across**2 + along**2)
    last = axes[0, 5]
    for ax, (name, make), colour, marker in zip(axes[0], RACERS.items(), COLOURS, MARKERS):
        ax.contour(across, along, heights, levels=np.geomspace(0.05, 70, 14), colors="#b9c3cc", linewidths=0.8)
        points = path(make)
        ax.plot(points[:, 0], points[:, 1], "-", color=colour, linewidth=1.0)
        ax.plot(points[:, 0], points[:, 1], marker, color=colour, markersize=3.5)
        ax.plot(0, 0, "x", color=INK, markersize=8)
        ax.set_aspect("equal")
        ax.set_xlim(-1.7, 1.7)
        ax.set_ylim(-3, 11)
        ax.set_xticks([-1, 0, 1])
        ax.set_xlabel("w₁, steep")
        caption(ax, name)
        losses = 0.5 * (20 * points[:, 0] ** 2 + points[:, 1] ** 2)
        label = name.replace("\n", ", ")
        last.semilogy(losses, "-", color=colour, marker=marker, markersize=5, markevery=5, linewidth=1.3, label=label)
    axes[0, 0].set_ylabel("w₂, flat")
    last.set_xlabel("step")
    last.set_ylabel("loss")
    last.set_yticks([1e-5, 1e-3, 1e-1, 10], ["0.00001", "0.001", "0.1", "10"])
    caption(last, "all five")
    legend(last)
    return figure


FIGURES = {"lesson_11_race.png": race}
