"""The flight recorder's picture: what every layer's activations, gradients and updates did over the epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core.teach import teach
from ..insight.findings import Finding
from ..insight.flight_recorder import FlightRecorder
from ..insight.readings import Reading
from .canvas import PANEL, caption, legend, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def flight(readings: Sequence[Reading], findings: Sequence[Finding] = ()) -> Figure:
    """Three panels, one line for each layer or weight, dark near the input and light near the output.

    Args:
        readings, findings: those of a :class:`miniframe.FlightRecorder`; findings are dotted lines and a caption.
    """
    figure, axes = sheet(1, 3, (4.2 * PANEL, 1.15 * PANEL))
    activations, gradients, updates = axes[0]
    lines(activations, readings, lambda r: {name: layer.activation for name, layer in r.layers.items()})
    lines(gradients, readings, lambda r: {name: layer.gradient for name, layer in r.layers.items()})
    lines(updates, readings, lambda r: r.updates)
    caption(activations, "activations, root mean square")
    caption(gradients, "gradients, norm for one sample")
    caption(updates, "one step's change of a weight / the weight")
    for ax in axes.flat:
        ax.set_xlabel("epoch")
        for finding in findings:
            ax.axvline(finding.epoch, color="#c24f57", linestyle=":", linewidth=1.2)
    updates.axhspan(1e-4, 1e-1, color="#3a9a6b", alpha=0.08)
    if findings:
        figure.suptitle("\n".join(map(str, findings)), fontsize=9, color="#c24f57", wrap=True)
    return figure


def lines(ax: Axes, readings: Sequence[Reading], numbers: Callable[[Reading], dict[str, float]]) -> None:
    """One line for each name, over the readings that have it, on a logarithmic scale with a place for 0 at its foot.

    A layer that is dead has the gradient 0, and that is the line to be seen.
    """
    from matplotlib import colormaps

    names = list(dict.fromkeys(name for reading in readings for name in numbers(reading)))
    found = np.array([value for reading in readings for value in numbers(reading).values()], dtype=float)
    positive = found[np.isfinite(found) & (found > 0)]
    foot = 10 ** np.floor(np.log10(positive.min())) if positive.size else 1.0  # below it, a little room down to 0
    for index, name in enumerate(names):
        points = [(r.epoch, numbers(r)[name]) for r in readings if name in numbers(r)]
        epochs, values = np.array(points, dtype=float).T
        colour = colormaps["viridis"](0.9 * index / max(len(names) - 1, 1))
        ax.plot(epochs, values, ".-", color=colour, linewidth=1.4, label=name)
    if (found == 0).any():
        ax.set_yscale("symlog", linthresh=foot, linscale=0.4)
        ax.set_ylim(bottom=-0.15 * foot)
    else:
        ax.set_yscale("log")
    if 0 < len(names) <= 12:
        legend(ax)


def plot(recorder: FlightRecorder) -> Figure:
    """Activations, gradients and updates of every layer over the epochs; needs ``miniframe[figures]``.

    Raises:
        ValueError: before anything was recorded.
    """
    if not recorder.readings:
        raise ValueError("FlightRecorder: nothing is recorded yet; pass it to fit(..., callbacks=[recorder])")
    return flight(recorder.readings, recorder.findings)


teach(FlightRecorder, plot)
