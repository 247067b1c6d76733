"""Activation functions beside their derivatives, both computed by the layers themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np

from ..core.module import Module
from ..layers import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .canvas import COLOURS, INK, caption, legend, panels, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def activations(layers: Sequence[Module] | None = None, limit: float = 4.0, columns: int | None = None) -> Figure:
    """Each activation's forward and, from its own backward, its derivative, over [-limit, limit].

    Args:
        layers: elementwise layers; by default ReLU and its relatives, Sigmoid and Tanh.
        limit: how far the horizontal axis reaches.
        columns: panels in a row.

    >>> [ax.get_title() for ax in activations([ReLU(), Tanh()]).axes]
    ['ReLU()', 'Tanh()']
    """
    if layers is None:
        layers = [ReLU(), LeakyReLU(0.1), ELU(), Softplus(), SiLU(), GELU(), Sigmoid(), Tanh()]
    if not layers:
        raise ValueError("activations: expected at least one layer, got none")
    rows, columns = panels(len(layers), columns or min(4, len(layers)))
    figure, axes = sheet(rows, columns, (2.7 * columns, 2.5 * rows))
    x = np.linspace(-limit, limit, 401, dtype=np.float32)  # an odd number, so that the corner at 0 is a point
    for ax, layer in zip(axes.flat, layers):
        y = layer(mx.array(x))
        slope = layer.backward(mx.ones_like(y))
        ax.axhline(0, color=INK, linewidth=0.6)
        ax.axvline(0, color=INK, linewidth=0.6)
        ax.plot(x, np.array(y), color=COLOURS[0], linewidth=1.8, label="y")
        ax.plot(x, np.array(slope), color=COLOURS[1], linewidth=1.5, linestyle="--", label="dy/dx")
        caption(ax, layer.title())
        legend(ax, loc="upper left")
    for ax in list(axes.flat)[len(layers) :]:
        ax.set_visible(False)
    return figure
