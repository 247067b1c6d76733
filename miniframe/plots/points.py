"""Points in the plane: how a classifier divides it, and which points it gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.module import Module
from .canvas import COLOURS, INK, PANEL, caption, named, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Classifier = Module | Callable[[Any], Any]


def decision_regions(
    models: Any,
    x: Any,
    labels: Any,
    resolution: int = 300,
    threshold: float = 0.5,
    title: str = "",
    max_points: int = 2000,
) -> Figure:
    """Colour the plane by the predicted class, with the data on top.

    Args:
        models: a module, any function from (n, 2) inputs to outputs, or a dict of several with their names, which
            are then drawn side by side. Outputs are (n, classes) scores or one column compared with ``threshold``.
        x: (N, 2) points.
        labels: (N,) classes, or one-hot rows.
        resolution: grid points along each axis.
        threshold: above it a single output means class 1; use 0 for logits.
        title: above the panel of a single model.
        max_points: draw at most this many of the points.

    >>> import miniframe as mf
    >>> x, labels = mf.datasets.disk(100)
    >>> decision_regions(mf.Linear(2, 2), x, labels, resolution=20).axes[0].get_xlabel()
    'x₁'
    """
    points, classes = _points(x, labels, "decision_regions")
    models = named(models, title)
    low, high = points.min(axis=0), points.max(axis=0)
    shape = float(np.clip((high - low)[1] / max((high - low)[0], 1e-9), 0.4, 2))  # height over width
    figure, axes = sheet(1, len(models), (PANEL * len(models), 0.6 + (PANEL - 0.3) * shape))
    margin = 0.04 * (high - low) + 1e-9
    horizontal, vertical = np.linspace(low - margin, high + margin, resolution).T
    plane = np.stack(np.meshgrid(horizontal, vertical), axis=-1).reshape(-1, 2).astype(np.float32)
    half = (horizontal[1] - horizontal[0]) / 2, (vertical[1] - vertical[0]) / 2  # imshow's extent: outer edges of cells
    extent = (horizontal[0] - half[0], horizontal[-1] + half[0], vertical[0] - half[1], vertical[-1] + half[1])
    for ax, (name, model) in zip(axes.flat, models.items()):
        regions = predicted_class(model, plane, threshold).reshape(resolution, resolution)
        ax.imshow(_tints(regions), extent=extent, origin="lower", interpolation="nearest", zorder=0)
        ax.contour(horizontal, vertical, regions, levels=np.arange(regions.max()) + 0.5, colors=INK, linewidths=0.8)
        _scatter(ax, points[:max_points], classes[:max_points])
        _label(ax, name)
    return figure


def errors(models: Any, x: Any, labels: Any, threshold: float = 0.5, title: str = "") -> Figure:
    """Draw the points, with a red cross on each that the model gets wrong; the title counts them.

    Args:
        models, x, labels, threshold, title: as for :func:`decision_regions`.

    When the labels are those of the disk, its true circle is drawn too.

    >>> import miniframe as mf
    >>> x, labels = mf.datasets.disk(100)
    >>> errors(lambda x: mf.one_hot(labels, 2), x, labels).axes[0].get_title()
    '0 of 100 wrong (0.00%)'
    """
    points, classes = _points(x, labels, "errors")
    models = named(models, title)
    figure, axes = sheet(1, len(models), (PANEL * len(models), PANEL + 0.5))
    radius = 1 / np.sqrt(2 * np.pi)
    on_disk = np.array_equal(((points - 0.5) ** 2).sum(axis=1) < radius**2, classes == 1)
    for ax, (name, model) in zip(axes.flat, models.items()):
        wrong = predicted_class(model, points, threshold) != classes
        _scatter(ax, points[~wrong], classes[~wrong], size=3, alpha=0.35)
        ax.scatter(points[wrong, 0], points[wrong, 1], s=22, marker="x", color="#c2202b", linewidths=1.3, zorder=4)
        if on_disk:
            angle = np.linspace(0, 2 * np.pi, 200)
            ax.plot(0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle), color=INK, linewidth=0.8, zorder=3)
        count = f"{wrong.sum():,} of {len(points):,} wrong ({100 * wrong.mean():.2f}%)"
        _label(ax, f"{name}\n{count}" if name else count)
    return figure


def predicted_class(model: Classifier, x: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The class of each input, (n,) integers: the largest score, or whether a single one exceeds the threshold."""
    if isinstance(model, Module):
        outputs = model.predict(mx.array(x))
    else:
        outputs = model(x)
    scores = np.array(as_array(outputs, where="plots"))
    if scores.ndim == 2 and scores.shape[1] > 1:
        return scores.argmax(axis=1)
    if scores.size != len(x):
        raise ValueError(f"plots: expected one output, or a row of scores, for each of {len(x)}, got {scores.shape}")
    return (scores.reshape(-1) > threshold).astype(np.int64)


def _points(x: Any, labels: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    points, classes = np.array(as_array(x, where=where)), np.array(as_array(labels, where=where))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"{where}: expected x of shape (N, 2), got {points.shape}")
    if classes.ndim == 2:
        classes = classes.argmax(axis=1) if classes.shape[1] > 1 else classes[:, 0]
    if classes.shape != (len(points),):
        raise ValueError(f"{where}: expected one label for each of {len(points)} points, got {classes.shape}")
    return points, classes.astype(np.int64)


def _scatter(ax: Axes, points: np.ndarray, classes: np.ndarray, size: float = 7, alpha: float = 0.9) -> None:
    colours = np.array(COLOURS)[classes % len(COLOURS)]
    ax.scatter(points[:, 0], points[:, 1], s=size, c=colours, alpha=alpha, linewidths=0, zorder=2)


def _tints(classes: np.ndarray) -> np.ndarray:
    """A light colour for each cell of the plane."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(colour) for colour in COLOURS])
    return 1 - 0.3 * (1 - colours[classes % len(colours)])


def _label(ax: Axes, title: str) -> None:
    ax.grid(False)
    caption(ax, title)
    ax.set_xlabel("x₁")
    ax.set_ylabel("x₂")
    ax.set_aspect("equal")
