"""Lesson 4: activations with their derivatives, and the derivative of Tanh in the form that overflows."""

import mlx.core as mx
import numpy as np
from boxes import BLUE, ORANGE

import miniframe as mf
from miniframe.plots.canvas import INK, caption, legend, sheet


def activations():
    figure, axes = sheet(1, 4, (13.6, 3.6))
    x = np.linspace(-4, 4, 401, dtype=np.float32)
    for ax, layer in zip(axes[0], (mf.ReLU(), mf.Sigmoid(), mf.Tanh())):
        y = layer(mx.array(x))
        slope = layer.backward(mx.ones_like(y))
        ax.axhline(0, color=INK, linewidth=0.6)
        ax.axvline(0, color=INK, linewidth=0.6)
        ax.plot(x, np.array(y), color=BLUE, label="y")
        ax.plot(x, np.array(slope), "--", color=ORANGE, label="dy/dx")
        caption(ax, layer.title())
        legend(ax, loc="upper left")
    axes[0, 0].set_ylim(-0.3, 4.1)
    ax = axes[0, 3]
    x = np.linspace(0, 60, 601, dtype=np.float32)
    e = mx.exp(2 * mx.array(x))
    bad = np.array(4 * e / mx.square(e + 1))
    good = 1 - np.tanh(x.astype(np.float64)) ** 2
    tanh = mf.Tanh()
    y = tanh(mx.array(x))
    with_y = np.array(tanh.backward(mx.ones_like(y)))
    zero = x[with_y == 0][0]
    ax.plot(x, np.where(with_y > 0, with_y, np.nan), color=BLUE, label="1 - y²", linewidth=3, alpha=0.5)
    ax.plot(x, bad, "--", color=ORANGE, label="4e²ˣ / (e²ˣ + 1)²")
    ax.set_yscale("log")
    ax.set_yticks([1e-36, 1e-24, 1e-12, 1])
    ax.annotate(
        f"0 from x = {zero:.0f} on",
        (zero, 2e-8),
        (zero + 4, 1e-3),
        color=BLUE,
        arrowprops={"arrowstyle": "-", "color": BLUE},
    )
    first = x[np.isnan(bad)][0]
    ax.axvspan(first, 60, color=ORANGE, alpha=0.15)
    ax.text((first + 60) / 2, 1e-20, "nan", ha="center", color=ORANGE, fontsize=13)
    ax.set_xlabel("x")
    caption(ax, "derivative of Tanh in float32")
    legend(ax, loc="lower left")
    assert np.nanmax(abs(bad - good)) < 1e-3
    return figure


FIGURES = {"lesson_04_activations.png": activations}
