"""Lesson 13: networks built by hand, how the error falls with the width, and starts that do not find it."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, FAINT, INK, caption, legend, logarithmic, sheet

GRID = np.linspace(-2, 2, 1001)


def target(x):
    return np.sin(3 * x) + 0.5 * x


def bent(n):
    knots = np.linspace(-2, 2, n + 1)
    slopes = np.diff(target(knots)) / np.diff(knots)
    model = mf.Sequential(mf.Linear(1, n), mf.ReLU(), mf.Linear(n, 1))
    model[0].weight.value = mx.ones((n, 1))
    model[0].bias.value = mx.array(-knots[:-1].astype(np.float32))
    model[2].weight.value = mx.array(np.diff(slopes, prepend=0)[None].astype(np.float32))
    model[2].bias.value = mx.array(target(knots[:1]).astype(np.float32))
    return model


def says(model, x):
    return np.array(model.predict(mx.array(x[:, None].astype(np.float32))))[:, 0]


def trained(seed, width):
    x = np.linspace(-2, 2, 100)[:, None].astype(np.float32)
    mf.seed(seed)
    model = mf.Sequential(mf.Linear(1, width), mf.ReLU(), mf.Linear(width, 1))
    adam = mf.Adam(model, lr=0.02)
    history = model.fit(
        mx.array(x), mx.array(target(x)), loss="mse", optimizer=adam, epochs=600, batch_size=100, seed=seed, verbose=0
    )
    return model, history.history["loss"][-1]


def curve():
    figure, axes = sheet(1, 3, (13, 4.2))
    left, middle, right = axes[0]
    wide = np.linspace(-2, 4, 601)
    left.plot(wide, target(wide), color=INK, linewidth=3, alpha=0.35, label="the curve")
    for n, colour, style in ((5, COLOURS[1], "--"), (20, COLOURS[0], "-")):
        left.plot(wide, says(bent(n), wide), style, color=colour, linewidth=1.6, label=f"{n} ReLUs, by hand")
    left.axvspan(-2, 2, color=FAINT, alpha=0.5, zorder=0)
    left.text(2.1, -1.3, "nobody promised\nanything here", fontsize=9)
    left.set_xlabel("x")
    legend(left, loc="upper left")
    caption(left, "inside as close as you like")
    widths = np.array([5, 10, 20, 40, 80, 160])
    errors = [np.abs(says(bent(n), GRID) - target(GRID)).max() for n in widths]
    middle.plot(widths, errors, "o-", color=COLOURS[0], label="by hand")
    found = [
        [np.abs(says(trained(seed, n)[0], GRID) - target(GRID)).max() for seed in range(3)] for n in (5, 10, 20, 40, 80)
    ]
    middle.plot(
        np.repeat(widths[:5], 3), np.ravel(found), "s", color=COLOURS[1], alpha=0.7, label="trained, three seeds"
    )
    middle.set_xscale("log")
    middle.set_xticks(widths, map(str, widths))
    middle.minorticks_off()
    logarithmic(middle)
    middle.set_xlabel("ReLUs")
    middle.set_ylabel("largest error")
    legend(middle, loc="lower left")
    caption(middle, "can be, and is found")
    losses = sorted(trained(seed, 8)[1] for seed in range(20))
    grid = np.linspace(-2, 2, 100)
    by_hand = ((says(bent(8), grid) - target(grid)) ** 2).mean()
    right.bar(range(1, 21), losses, color=[COLOURS[1] if loss > 2 * by_hand else COLOURS[0] for loss in losses])
    right.axhline(by_hand, color=INK, linestyle="--", linewidth=1)
    right.text(0.6, by_hand * 1.15, "8 ReLUs\nby hand", fontsize=9)
    right.set_xticks([1, 5, 10, 15, 20])
    right.set_xlabel("twenty starts, from the best to the worst")
    right.set_ylabel("loss after training")
    caption(right, "the same network, 20 seeds")
    return figure


FIGURES = {"lesson_13_curve.png": curve}
