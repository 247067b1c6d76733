"""Lesson 9: optimizers race down the same valley."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, INK, caption, legend, sheet

A = mx.array([20.0, 1.0])
RACERS = {
    "SGD, lr 0.05": lambda w: mf.SGD(w, lr=0.05),
    "SGD, lr 0.095": lambda w: mf.SGD(w, lr=0.095),
    "momentum 0.8": lambda w: mf.SGD(w, lr=0.05, momentum=0.8),
    "Nesterov 0.8": lambda w: mf.SGD(w, lr=0.05, momentum=0.8, nesterov=True),
    "Adam, lr 0.5": lambda w: mf.Adam(w, lr=0.5),
}


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
    figure, axes = sheet(2, 3, (12, 7.6))
    across, along = np.meshgrid(np.linspace(-1.6, 1.6, 161), np.linspace(-6, 11, 161))
    heights = 0.5 * (20 * across**2 + along**2)
    for ax, (name, make), colour in zip(axes.flat, RACERS.items(), COLOURS[:5]):
        ax.contour(along, across, heights, levels=np.geomspace(0.05, 70, 14), colors="#b9c3cc", linewidths=0.8)
        points = path(make)
        ax.plot(points[:, 1], points[:, 0], ".-", color=colour, linewidth=1.2, markersize=5)
        ax.plot(0, 0, "x", color=INK)
        ax.set_xlim(-6, 11)
        ax.set_ylim(-1.6, 1.6)
        ax.set_xlabel("w₂, the flat direction")
        ax.set_ylabel("w₁, the steep one")
        caption(ax, name)
        losses = 0.5 * (20 * points[:, 0] ** 2 + points[:, 1] ** 2)
        axes[1, 2].semilogy(losses, color=colour, label=name)
    axes[1, 2].set_xlabel("step")
    axes[1, 2].set_ylabel("loss")
    caption(axes[1, 2], "all five")
    legend(axes[1, 2])
    return figure


FIGURES = {"lesson_09_race.png": race}
