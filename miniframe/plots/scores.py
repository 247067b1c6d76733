"""Scores of a classifier: which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.arrays import as_array
from .canvas import INK, bare, caption, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(predictions: Any, labels: Any, names: Sequence[str] | None = None, title: str = "") -> Figure:
    """Counts of (true class, predicted class): right answers on the diagonal, each mistake beside it.

    Args:
        predictions: (N, classes) scores, or (N,) predicted classes.
        labels: (N,) true classes, or one-hot rows.
        names: of the classes; their numbers by default.

    The title adds the accuracy; colours are fractions of the true class.

    >>> confusion_matrix([0, 1, 1, 1], [0, 0, 1, 1]).axes[0].get_title()
    '75.00% right'
    """
    predicted, true = _classes(predictions, "predictions"), _classes(labels, "labels")
    if predicted.shape != true.shape or not true.size:
        raise ValueError(f"confusion_matrix: expected one label for each prediction, got {true.size}, {predicted.size}")
    columns = np.shape(as_array(predictions))[-1] if np.ndim(as_array(predictions)) == 2 else 0
    size = max(int(true.max()) + 1, int(predicted.max()) + 1, len(names or ()), columns)
    names = [str(i) for i in range(size)] if names is None else list(names)
    if len(names) != size or min(true.min(), predicted.min()) < 0:
        raise ValueError(f"confusion_matrix: expected {size} names and classes from 0, got {len(names)} names")
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (true, predicted), 1)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = sheet(1, 1, (1.9 + 0.46 * size, 1.7 + 0.46 * size))
    ax = axes[0, 0]
    bare(ax)
    ax.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(counts):
        colour = "white" if fractions[i, j] > 0.5 else INK
        ax.text(j, i, f"{counts[i, j]}", ha="center", va="center", color=colour, fontsize=8)
    long = max(map(len, names)) > 3
    ax.set_xticks(range(size), names, rotation=45 if long else 0, ha="right" if long else "center")
    ax.set_yticks(range(size), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    right = f"{100 * np.trace(counts) / true.size:.2f}% right"
    caption(ax, f"{title}: {right}" if title else right)
    return figure


def _classes(scores: Any, what: str) -> np.ndarray:
    array = np.array(as_array(scores, where=f"confusion_matrix: {what}"))
    if array.ndim == 2:
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise ValueError(f"confusion_matrix: expected {what} (N,) or (N, classes), got {array.shape}")
    return array.astype(np.int64)
