"""Lesson 5: what the disk network learned, and the two experiments of lesson_05_measure.py."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from boxes import BLUE, GREEN, ORANGE

import miniframe as mf
from miniframe.demo import centred, disk_model
from miniframe.plots.canvas import INK, caption, legend, logarithmic, sheet


def disk():
    x, labels = mf.datasets.disk(1000, seed=0)
    test_x, test_labels = mf.datasets.disk(10_000, seed=1)
    mf.seed(0)
    model = disk_model()
    history = model.fit(
        centred(x), mf.one_hot(labels, 2), loss="mse", optimizer=mf.SGD(model, lr=0.1, momentum=0.9), epochs=60,
        batch_size=100, validation_data=(centred(test_x), mf.one_hot(test_labels, 2)), metrics=["error_rate"], seed=0,
        verbose=0, compile=False,
    )  # fmt: skip
    figure, axes = sheet(1, 3, (12.6, 4.2))
    side = np.linspace(0, 1, 300, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    score = np.array(model.predict(centred(mx.array(grid))))
    inside = (score[:, 1] - score[:, 0]).reshape(300, 300)
    wrong = np.array(mx.argmax(model.predict(centred(test_x)), axis=1) != test_labels)
    points, classes = np.array(x), np.array(labels)
    for ax, title in zip(
        axes[0], ("1,000 training points and the true border", f"{wrong.sum()} of 10,000 test points are wrong (×)")
    ):
        ax.contourf(side, side, inside, levels=[-9, 0, 9], colors=["#dbe7f5", "#fbe6d4"])
        angle = np.linspace(0, 2 * np.pi, 400)
        r = 1 / np.sqrt(2 * np.pi)
        ax.plot(0.5 + r * np.cos(angle), 0.5 + r * np.sin(angle), color=INK, linewidth=0.8)
        ax.set_aspect("equal")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        ax.grid(False)
        caption(ax, title)
    for k, (colour, marker) in enumerate(((BLUE, "o"), (ORANGE, "s"))):
        axes[0, 0].scatter(*points[classes == k].T, color=colour, marker=marker, s=5)
    axes[0, 1].scatter(*np.array(test_x)[wrong].T, c="#c22", s=12, marker="x", linewidth=1)
    ax = axes[0, 2]
    for name, label, colour, marker in (("error_rate", "training", BLUE, "o"), ("val_error_rate", "test", ORANGE, "s")):
        ax.plot(
            np.arange(1, 61), history.history[name], color=colour, label=label, marker=marker, markevery=5, markersize=4
        )
    logarithmic(ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("fraction of wrong points")
    caption(ax, "error")
    legend(ax)
    return figure


def measured():
    results = json.loads(Path(__file__).with_name("lesson_05.json").read_text())
    figure, axes = sheet(1, 2, (9.6, 4.0))
    ax = axes[0, 0]
    sizes = [int(n) for n in results["points"]]
    for n, errors in zip(sizes, results["points"].values()):
        ax.plot([n] * len(errors), 100 * np.array(errors), ".", color=BLUE, alpha=0.6)
    ax.loglog(
        sizes, [100 * np.mean(errors) for errors in results["points"].values()], color=BLUE, marker="o", label="mean"
    )
    ax.axhline(0.5, color=GREEN, linestyle="--", label="0.5%")
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.minorticks_off()
    ax.set_xlabel("training points")
    ax.set_ylabel("test error in %")
    ax.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    caption(ax, "more points, five seeds each")
    legend(ax)
    ax = axes[0, 1]
    for n, colour, marker in ((300, BLUE, "o"), (3000, ORANGE, "s")):
        rows = {float(key.split()[1]): e for key, e in results["dropout"].items() if key.split()[0] == str(n)}
        for p, errors in rows.items():
            ax.plot([p] * len(errors), 100 * np.array(errors), marker, color=colour, alpha=0.6, markersize=4)
        means = [100 * np.mean(e) for e in rows.values()]
        ax.semilogy(list(rows), means, color=colour, marker=marker, markersize=7, label=f"{n:,} points: mean")
    ax.set_xlabel("p of Dropout")
    ax.set_ylabel("test error in %")
    ax.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    caption(ax, "Dropout, five seeds each")
    legend(ax)
    return figure


FIGURES = {"lesson_05_disk.png": disk, "lesson_05_measured.png": measured}
