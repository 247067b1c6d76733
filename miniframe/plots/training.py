"""What happens during a training: curves over the epochs, learning rates, and how large each layer's gradient is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.module import Module
from ..core.tables import html_table
from ..core.teach import teach
from ..optimizers.schedules import Schedule
from ..training.history import History
from .canvas import COLOURS, PANEL, caption, legend, logarithmic, named, sheet

LAST = 10  # epochs in a table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(histories: Any, quantities: Any = None, log: bool | None = None) -> Figure:
    """Loss, accuracy and so on over the epochs; one panel for each quantity, validation dashed.

    Args:
        histories: what ``fit`` returned, a dict from quantity to numbers, or a dict of several with their names.
        quantities: such as ["loss", "accuracy"]; by default all that are recorded.
        log: logarithmic heights; by default for a loss that falls by more than ten times.

    >>> curves({"loss": [1.0, 0.5, 0.2], "val_loss": [1.1, 0.7, 0.5]}).axes[0].get_ylabel()
    'loss'
    """
    runs = _runs(histories)
    found = dict.fromkeys(name.removeprefix("val_") for run in runs.values() for name in run)
    names = list(found) if quantities is None else [quantities] if isinstance(quantities, str) else list(quantities)
    unknown = [name for name in names if name not in found]
    if unknown or not names:
        wanted = f"no {unknown[0]!r} in the history" if unknown else "an empty history"
        raise ValueError(f"curves: {wanted}; it has {', '.join(found) or 'nothing'}")
    figure, axes = sheet(1, len(names), (1.35 * PANEL * len(names), PANEL))
    validated = any(key.startswith("val_") for run in runs.values() for key in run)
    for ax, name in zip(axes.flat, names):
        for index, (run_name, run) in enumerate(runs.items()):
            style = {"color": COLOURS[index % len(COLOURS)], "linewidth": 3.0 if len(runs) > 1 and index == 0 else 1.4}
            for key, dashes, kind in ((name, "-", "training"), (f"val_{name}", "--", "validation")):
                if key in run:
                    label = ", ".join(word for word in (run_name, kind if validated or not run_name else "") if word)
                    _line(ax, run[key], label, linestyle=dashes, **style)
        if falls_far(_heights(ax)) if log is None else log:
            logarithmic(ax)
        ax.set_xlabel("epoch")
        ax.set_ylabel(name.replace("_", " "))
        legend(ax)
    return figure


def _line(ax: Axes, values: Any, label: str, **style: Any) -> None:
    values = np.asarray(values, dtype=float)
    ax.plot(np.arange(1, len(values) + 1), values, label=label, marker="." if len(values) < 3 else None, **style)


def _heights(ax: Axes) -> np.ndarray:
    return np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines] or [np.ones(1)])


def falls_far(numbers: Any) -> bool:
    """Whether numbers, NaN and infinity left out, are positive and span more than a factor of ten.

    >>> falls_far([100.0, 5.0]), falls_far([100.0, 0.0]), falls_far([])
    (True, False, False)
    """
    values = np.asarray(numbers, dtype=float)
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > 10 * values.min())


def _runs(histories: Any) -> dict[str, dict[str, list[float]]]:
    """Run name -> quantity -> numbers, from a History, its dict, or a dict of either."""

    def numbers(history: Any) -> dict[str, list[float]]:
        return getattr(history, "history", history)

    runs = {name: numbers(item) for name, item in named(numbers(histories)).items()}
    if "" not in runs and not all(isinstance(run, dict) for run in runs.values()):
        return {"": numbers(histories)}  # it was one history: quantities, not runs
    return runs


def schedules(schedules: Any, steps: int) -> Figure:
    """The learning rate over the first steps of one schedule, or of several.

    Args:
        schedules: any function from the number of steps to a rate, or a dict of several with their names.
        steps: how many; at least 1.

    >>> from miniframe.schedules import cosine, step
    >>> schedules({"cosine": cosine(0.1, 100), "steps": step(0.1, 30)}, 120).axes[0].get_ylabel()
    'learning rate'
    """
    if steps < 1:
        raise ValueError(f"schedules: expected at least 1 step, got {steps}")
    several = named(schedules)
    figure, axes = sheet(1, 1, (1.6 * PANEL, PANEL))
    ax = axes[0, 0]
    for index, (name, schedule) in enumerate(several.items()):
        rates = [schedule(step) for step in range(steps)]
        ax.plot(range(steps), rates, color=COLOURS[index % len(COLOURS)], label=name or repr(schedule))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("steps taken")
    ax.set_ylabel("learning rate")
    legend(ax)
    return figure


def gradient_flow(model: Module, title: str = "") -> Figure:
    """The size of every parameter's gradient, first layer on the left, as the last backward left it.

    Bars show the root mean square √(Σ g² / n), on a logarithmic scale: gradients that vanish or explode on their way
    back to the input make a slope from right to left.

    Args:
        model: after a ``backward``.

    Raises:
        ValueError: when no parameter has a gradient.

    >>> import miniframe as mf, mlx.core as mx
    >>> model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 1))
    >>> dx = model.backward(mx.ones_like(model(mx.ones((4, 2)))))
    >>> [label.get_text() for label in gradient_flow(model).axes[0].get_xticklabels()]
    ['0', '2']
    """
    sizes: dict[str, dict[str, float]] = {}
    for path, parameter in model.named_parameters():
        if parameter.grad is not None:
            layer, _, kind = path.rpartition(".")
            gradient = np.array(parameter.grad, dtype=np.float64)
            sizes.setdefault(layer or type(model).__name__, {})[kind] = float(np.sqrt(np.mean(gradient**2)))
    if not sizes:
        raise ValueError("gradient_flow: no parameter has a gradient; run a backward first")
    kinds = list(dict.fromkeys(kind for layer in sizes.values() for kind in layer))
    figure, axes = sheet(1, 1, (max(1.4 * PANEL, 1.2 + 0.45 * len(sizes)), PANEL))
    ax = axes[0, 0]
    width = 0.8 / len(kinds)
    for index, kind in enumerate(kinds):
        places = [i + (index - (len(kinds) - 1) / 2) * width for i, layer in enumerate(sizes.values()) if kind in layer]
        heights = [layer[kind] for layer in sizes.values() if kind in layer]
        ax.bar(places, heights, width, color=COLOURS[index % len(COLOURS)], label=kind)
    positive = [height for layer in sizes.values() for height in layer.values() if height > 0]
    if positive:
        ax.set_yscale("log")
        ax.set_ylim(bottom=min(positive) / 3)
    ax.grid(False, axis="x")
    crowded = len(sizes) > 8 or max(map(len, sizes)) > 8
    ax.set_xticks(range(len(sizes)), list(sizes), rotation=60 if crowded else 0, ha="right" if crowded else "center")
    ax.set_xlabel("layer, from input to output")
    ax.set_ylabel("root mean square gradient")
    caption(ax, title)
    legend(ax)
    return figure


def plot(schedule: Schedule, steps: int) -> Figure:
    """The rates of the first ``steps`` steps as a figure; ``plots.schedules`` draws several together."""
    return schedules(schedule, steps)


def as_html(history: History) -> str:
    """A notebook's picture of a history: its curves, or without matplotlib a table of the last epochs."""
    try:
        drawing = io.StringIO()
        curves(history).savefig(drawing, format="svg")
        return drawing.getvalue()[drawing.getvalue().index("<svg") :]
    except (ImportError, ValueError):  # no matplotlib, or no epochs
        head = ("epoch", *history.history)
        columns = [history.epoch[-LAST:], *[values[-LAST:] for values in history.history.values()]]
        rows = [(str(epoch + 1), *[f"{value:.4g}" for value in values]) for epoch, *values in zip(*columns)]
        return html_table([head, *rows], numbers=len(head), title=repr(history))


teach(Schedule, plot)
teach(History, _repr_html_=as_html)
