"""The figure "time per epoch": one panel for each workload, one bar for each system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(results: dict[str, Any]) -> Figure:
    """Horizontal bars, fastest on top, miniframe's highlighted.

    Args:
        results: by workload name, as ``measure`` returns them or ``miniframe bench --json`` wrote them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 2.9 * len(results)), layout="constrained")
    for axes, result in zip(figure.subplots(len(results), 1, squeeze=False)[:, 0], results.values()):
        medians: dict[str, float] = result["ms_per_epoch"]
        names = sorted(medians, key=lambda name: -medians[name])
        own = ["#d1495b" if name == "miniframe fit" else "#8d99ae" for name in names]
        bars = axes.barh(names, [medians[name] for name in names], color=own)
        axes.bar_label(bars, fmt="%.3g ms", padding=4)
        axes.set_title(result["title"], loc="left")
        axes.set_xlabel("milliseconds per epoch (median)")
        axes.margins(x=0.14)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
