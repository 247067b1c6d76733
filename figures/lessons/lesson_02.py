"""Lesson 2: the loss of the AND neuron as a map, and the path of gradient descent on it."""

import mlx.core as mx
import numpy as np
from boxes import ORANGE

from miniframe.plots.canvas import INK, caption, legend, logarithmic, sheet

X = mx.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
T = mx.array([[0.0], [0.0], [0.0], [1.0]])


def loss(w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The loss of the neuron with weights (w, w) and bias b, for any shape of w and b."""
    z = X.sum(axis=1) * mx.array(w)[..., None] + mx.array(b)[..., None]
    return np.array(((mx.sigmoid(z) - T.reshape(-1)) ** 2).mean(axis=-1))


def descent(steps: int = 200, lr: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """w and b along the path of gradient descent from (0, 0)."""
    W, b = mx.zeros((1, 2)), mx.zeros((1,))
    path = [(0.0, 0.0)]
    for _ in range(steps):
        y = mx.sigmoid(X @ W.T + b)
        dz = 2 * (y - T) / 4 * y * (1 - y)
        W, b = W - lr * dz.T @ X, b - lr * dz.sum(axis=0)
        path.append((W[0, 0].item(), b[0].item()))
    return tuple(np.array(path).T)


def surface():
    figure, axes = sheet(1, 2, (10.5, 4.6))
    w, b = np.meshgrid(np.linspace(-2, 8, 201, dtype=np.float32), np.linspace(-10, 3, 201, dtype=np.float32))
    heights = loss(w, b)
    path_w, path_b = descent()
    ax = axes[0, 0]
    filled = ax.contourf(w, b, heights, levels=np.linspace(0, 0.75, 16), cmap="Blues")
    ax.contour(w, b, heights, levels=np.linspace(0, 0.75, 16), colors="white", linewidths=0.5)
    figure.colorbar(filled, ax=ax).ax.set_title("loss", fontsize=9)
    ax.plot(path_w, path_b, ".-", color=ORANGE, markersize=5, linewidth=1.2, label="gradient descent, 200 steps")
    ax.plot(0, 0, "o", color=INK, markersize=7, label="start")
    ax.set_xlabel("w  (both weights)")
    ax.set_ylabel("b")
    caption(ax, "the loss, seen from above")
    legend(ax, loc="lower left")
    ax = axes[0, 1]
    ax.plot(loss(path_w.astype(np.float32), path_b.astype(np.float32)), color=ORANGE)
    logarithmic(ax)
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    caption(ax, "the loss along the path")
    return figure


FIGURES = {"lesson_02_surface.png": surface}
