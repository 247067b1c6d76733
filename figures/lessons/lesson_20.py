"""Lesson 20: the time of a training step over the width of the network, eager and compiled. Depends on the machine."""

import time

import mlx.core as mx
from boxes import BLUE, ORANGE

import miniframe as mf
from miniframe.plots.canvas import caption, legend, sheet
from miniframe.training.step import Step

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
ROUNDS = 15


def step_of(width: int, compile: bool):
    """A function that runs one training step of a network with two hidden layers of this width."""
    model = mf.Sequential(
        mf.Linear(2, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(),
        mf.Linear(width, 2),
    )  # fmt: skip
    step = Step(model, mf.MSELoss(), mf.SGD(model, lr=0.01, momentum=0.9), compile=compile)
    x, labels = mf.datasets.disk(100, seed=0)
    y = mf.one_hot(labels, 2)

    def run() -> None:
        value, _ = step(x, y)
        mx.eval(value, [p.value for p in model.parameters()])

    return run


def widths():
    times = {"eager": [], "compiled": []}
    for width in WIDTHS:
        steps = {"eager": step_of(width, False), "compiled": step_of(width, True)}
        found = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():  # in turns
                start = time.perf_counter()
                step()
                found[name].append(1000 * (time.perf_counter() - start))
        for name, values in found.items():
            times[name].append(min(values))
    figure, axes = sheet(1, 1, (6.4, 4.4))
    ax = axes[0, 0]
    for (name, values), colour in zip(times.items(), (ORANGE, BLUE)):
        ax.loglog(WIDTHS, values, ".-", color=colour, label=name)
    ax.set_xticks(WIDTHS, WIDTHS)
    ax.minorticks_off()
    ax.set_xlabel("width of the hidden layers")
    ax.set_ylabel("milliseconds per step")
    caption(ax, "one training step, batch of 100, best of 15")
    legend(ax)
    return figure


FIGURES = {"lesson_20_widths.png": widths}
