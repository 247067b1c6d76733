"""Lesson 6: what two losses tell a neuron that is wrong, three spirals, and who is taken for whom."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, INK, caption, legend, sheet

MARKERS = "os^"


def spirals(seed):
    return mf.datasets.spirals(600, arms=3, turns=0.6, noise=0.1, seed=seed)


def trained():
    x, labels = spirals(0)
    mf.seed(0)
    model = mf.Sequential(mf.Linear(2, 24), mf.Tanh(), mf.Linear(24, 24), mf.Tanh(), mf.Linear(24, 3))
    adam = mf.Adam(model, lr=0.01)
    model.fit(
        x, labels, loss="cross_entropy", optimizer=adam, epochs=30, batch_size=50, seed=0, compile=False, verbose=0
    )
    return model


def classes():
    from matplotlib.colors import to_rgb

    figure, axes = sheet(1, 3, (12.6, 4.2))
    z = np.linspace(-10, 6, 200)
    y = 1 / (1 + np.exp(-z))
    left, middle, right = axes[0]
    left.plot(z, 2 * (y - 1) * y * (1 - y), color=COLOURS[1], linewidth=2, label="squared error: 2(y − 1) y (1 − y)")
    left.plot(z, y - 1, color=COLOURS[0], linewidth=2, linestyle="--", label="cross-entropy: y − 1")
    left.annotate("sure, wrong, deaf", (-8, -0.02), (-9, -0.3), arrowprops={"arrowstyle": "->", "color": INK})
    left.set_xlabel("score z of a neuron that should say 1")
    left.set_ylabel("gradient by z")
    caption(left, "how loudly is it told?")
    left.set_ylim(-1.25, 0.05)
    legend(left, loc="lower right")
    model = trained()
    test, truth = spirals(1)
    across = np.linspace(-1.3, 1.3, 200, dtype=np.float32)
    grid = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    p = np.array(mf.functional.softmax(model.predict(mx.array(grid)))).reshape(200, 200, 3)
    tints = np.array([to_rgb(colour) for colour in COLOURS[:3]])
    middle.imshow(1 - (1 - p @ tints) * 0.45, origin="lower", extent=(-1.3, 1.3, -1.3, 1.3))
    points = np.array(test)
    for k, marker in enumerate(MARKERS):
        chosen = points[np.array(truth) == k]
        middle.scatter(*chosen.T, s=9, marker=marker, color=COLOURS[k], edgecolors="white", linewidths=0.3)
    middle.grid(False)
    caption(middle, "probabilities as colours, fresh points")
    said = np.array(model.predict(test).argmax(axis=1))
    counts = np.zeros((3, 3), dtype=int)
    np.add.at(counts, (np.array(truth), said), 1)
    right.imshow(counts, cmap="Blues", vmax=260)
    for i in range(3):
        for j in range(3):
            right.text(j, i, counts[i, j], ha="center", va="center", color="white" if counts[i, j] > 130 else INK)
    right.set_xticks(range(3))
    right.set_yticks(range(3))
    right.set_xlabel("was called")
    right.set_ylabel("true class")
    right.grid(False)
    caption(right, f"{(said == np.array(truth)).mean():.0%} right; which are not?")
    return figure


FIGURES = {"lesson_06_classes.png": classes}
