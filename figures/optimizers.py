"""A race: every optimizer walks down the same curved valley from the same start.

    python figures/optimizers.py        # writes optimizer_race.png next to this script

The surface is a layer whose "weight" is the place on the map, so the optimizers do what they do in any training.
"""

from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, INK, PANEL, caption, legend, logarithmic, sheet

HERE = Path(__file__).parent
START, STEPS = (-1.3, 1.6), 300
RACERS = {
    "SGD": lambda place: mf.SGD(place, lr=0.01),
    "momentum": lambda place: mf.SGD(place, lr=0.01, momentum=0.9),
    "Nesterov": lambda place: mf.SGD(place, lr=0.01, momentum=0.9, nesterov=True),
    "Adagrad": lambda place: mf.Adagrad(place, lr=0.3),
    "RMSprop": lambda place: mf.RMSprop(place, lr=0.02),
    "Adam": lambda place: mf.Adam(place, lr=0.1),
}
MARKERS = "os^DvP"


def height(x, y):
    """Rosenbrock's valley, less steep: its floor is the parabola y = x², its lowest point (1, 1)."""
    return (1 - x) ** 2 + 10 * (y - x**2) ** 2


class Valley(mf.Module):
    """height(x, y) at the place (x, y) that the parameter holds; the input only scales it."""

    def __init__(self) -> None:
        self.place = mf.Parameter(mx.array(START))

    def forward(self, scale: mx.array) -> mx.array:
        self.saved = scale
        return scale * height(*self.place.value)

    def backward(self, grad_output: mx.array) -> mx.array:
        scale, (x, y) = self.saved, self.place.value
        slope = mx.stack([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])
        self.place.accumulate((grad_output * scale).sum() * slope)
        return grad_output * height(x, y)


def run(make) -> np.ndarray:
    """The places visited, (STEPS + 1, 2)."""
    valley = Valley()
    optimizer = make(valley)
    places = [valley.place.value]
    for _ in range(STEPS):
        valley.zero_grad()
        valley(mx.ones(1))
        valley.backward(mx.ones(1))
        optimizer.step()
        places.append(valley.place.value)
    return np.array(mx.stack(places))


def draw() -> None:
    assert mf.check_gradients(Valley(), np.ones(1)).passed
    figure, axes = sheet(1, 2, (3.2 * PANEL, 1.45 * PANEL))
    chart, heights = axes[0]
    x, y = np.meshgrid(np.linspace(-1.75, 1.75, 300), np.linspace(-0.75, 2.25, 300))
    chart.contour(x, y, height(x, y), np.geomspace(0.03, 100, 16), colors="#b4bcc4", linewidths=0.7)
    for (name, make), colour, marker in zip(RACERS.items(), COLOURS, MARKERS):
        places = run(make)
        chart.plot(*places.T, color=colour, linewidth=1.0, alpha=0.7)
        chart.plot(*places[[10, 30, 100, STEPS]].T, marker, color=colour, markersize=7, markeredgecolor="white")
        heights.plot(height(*places.T), color=colour, label=name, linewidth=1.3, marker=marker, markevery=30)
    chart.plot(*START, "s", color=INK, markersize=6)
    chart.plot(1, 1, "*", color=INK, markersize=13)
    chart.set(xlim=(-1.75, 1.75), ylim=(-0.75, 2.25), xlabel="x", ylabel="y")
    chart.grid(False)
    caption(chart, f"from the square to the star; a mark after 10, 30, 100 and {STEPS} steps")
    logarithmic(heights)
    heights.set(xlabel="step", ylabel="loss, above the lowest point")
    caption(heights, "the loss along the way")
    legend(heights, loc="lower left")
    figure.savefig(HERE / "optimizer_race.png")


if __name__ == "__main__":
    draw()
