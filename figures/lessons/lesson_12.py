"""Lesson 12: what the flight recorder reads of healthy and of sick networks."""

import warnings

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, FAINT, INK, caption, legend, logarithmic, sheet


def network(activation=mf.ReLU, depth=8, width=25, scale=1.0):
    mf.seed(0)
    layers = []
    for inputs in [2] + [width] * (depth - 1):
        linear = mf.Linear(inputs, width)
        linear.weight.value = scale * mf.initializers.kaiming_normal(linear.weight.shape)
        layers += [linear, activation()]
    return mf.Sequential(*layers, mf.Linear(width, 2))


def flown(model, lr=0.05, scale=1.0):
    x, labels = mf.datasets.disk(200, seed=0)
    recorder = mf.FlightRecorder(every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            scale * (x - 0.5) * 12**0.5, labels, loss="cross_entropy", optimizer=mf.SGD(model, lr=lr, momentum=0.9),
            epochs=5, batch_size=20, callbacks=[recorder], seed=0, verbose=0, compile=False,
        )  # fmt: skip
    return recorder.readings


def doctor():
    figure, axes = sheet(1, 3, (13, 4.4))
    left, middle, right = axes[0]
    patients = {
        "healthy": flown(network(), lr=0.01),
        "vanishing: Sigmoid": flown(network(mf.Sigmoid)),
        "exploding: weights × 5": flown(network(scale=5.0), lr=1e-9),
    }
    for (name, readings), colour, marker in zip(patients.items(), COLOURS, "os^"):
        sizes = [layer.gradient for layer in readings[0].layers.values() if layer.learns]
        relative = np.array(sizes) / sizes[-1]
        left.plot(range(1, 10), relative, color=colour, marker=marker, linewidth=1.6, label=name)
    logarithmic(left)
    left.set_xlabel("layer with weights (9 is the last)")
    left.set_ylabel("gradient, over that of the last layer")
    caption(left, "the gradient on its way back")
    legend(left)
    rates = {"20": 20.0, "0.05": 0.05, "0.000001": 1e-6}
    for place, lr in enumerate(rates.values()):
        updates = [max(r.updates.values()) for r in flown(network(depth=2), lr=lr) if r.updates]
        patient = (2, 0, 1)[place]  # as on the left: blue is healthy
        middle.plot([place] * len(updates), updates, "os^"[patient], color=COLOURS[patient], markersize=7, alpha=0.7)
    middle.axhspan(1e-3, 0.1, color=FAINT, zorder=0)
    middle.text(2.45, 0.008, "a healthy step", color=INK, fontsize=9, ha="right")
    middle.set_xlim(-0.5, 2.5)
    middle.set_ylim(1e-8, 1e2)
    logarithmic(middle)
    middle.set_xticks(range(3), rates)
    middle.set_xlabel("learning rate")
    middle.set_ylabel("largest update of a weight, over its size")
    caption(middle, "how far one step goes")
    dead = network(depth=2)
    dead[0].bias.value = mx.full((25,), -10.0)
    cases = {
        "healthy\nReLU": ("dead", flown(network(depth=2))),
        "biases\nof −10": ("dead", flown(dead)),
        "healthy\nTanh": ("saturated", flown(network(mf.Tanh, depth=2))),
        "inputs\n× 1000": ("saturated", flown(network(mf.Tanh, depth=2), scale=1000.0)),
    }
    for place, (kind, readings) in enumerate(cases.values()):
        share = np.nanmax([getattr(layer, kind) for layer in list(readings[1].layers.values())[:-1]])
        right.bar(place, share, color=COLOURS[place % 2], hatch="" if kind == "dead" else "//", edgecolor="white")
        right.text(place, share + 0.02, f"{share:.0%}", ha="center", fontsize=9)
    right.axhline(0.8, color=INK, linewidth=0.8, linestyle=":")
    right.set_xticks(range(4), cases)
    right.set_ylim(0, 1.12)
    right.set_ylabel("share of the worst layer")
    caption(right, "units that are dead, outputs at the limits")
    return figure


FIGURES = {"lesson_12_doctor.png": doctor}
