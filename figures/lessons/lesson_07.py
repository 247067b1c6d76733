"""Lesson 7: the gap between training and fresh data, and five remedies over four seeds."""

import mlx.core as mx
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

import miniframe as mf
from miniframe.plots.canvas import COLOURS, INK, caption, legend, logarithmic, sheet


def data(seed, n=40):
    return mf.datasets.moons(n, noise=0.35, seed=seed)


TEST = data(1000, 2000)


def network(dropout):
    hidden = [mf.Linear(2, 64), mf.ReLU(), mf.Dropout(dropout), mf.Linear(64, 64), mf.ReLU(), mf.Dropout(dropout)]
    return mf.Sequential(*hidden, mf.Linear(64, 2))


def train(seed, dropout=0.0, weight_decay=0.0, n=40, change=lambda x, labels: (x, labels), **options):
    x, labels = change(*data(seed, n))
    mf.seed(seed)
    model = network(dropout)
    adam = mf.AdamW(model, lr=0.01, weight_decay=weight_decay)
    settings = {"epochs": 100, "batch_size": len(x), "seed": seed, "verbose": 0, **options}
    return model, model.fit(x, labels, loss="cross_entropy", optimizer=adam, **settings)


def moved(x, labels):
    copies = [x + 0.3 * mx.random.normal(x.shape, key=mx.random.key(k)) for k in range(10)]
    return mx.concatenate(copies), mx.concatenate([labels] * 10)


def early(seed):
    stop = mf.EarlyStopping(patience=20, restore_best_weights=True)
    return train(seed, validation_data=data(seed + 500), callbacks=[stop])


REMEDIES = {
    "nothing": train,
    "weight decay 1": lambda seed: train(seed, weight_decay=1.0),
    "dropout 0.5": lambda seed: train(seed, dropout=0.5),
    "early stopping": early,
    "augmentation": lambda seed: train(seed, change=moved),
    "10 times the data": lambda seed: train(seed, n=400),
}


def gap():
    figure, axes = sheet(1, 3, (12.6, 4.2))
    left, middle, right = axes[0]
    model, history = train(0, validation_data=TEST)
    epochs = np.arange(1, 101)
    left.plot(epochs, history.history["loss"], color=COLOURS[0], linewidth=2, label="training")
    left.plot(epochs, history.history["val_loss"], color=COLOURS[1], linewidth=2, linestyle="--", label="fresh data")
    logarithmic(left)
    best = int(np.argmin(history.history["val_loss"])) + 1
    left.axvline(best, color=INK, linewidth=0.8, linestyle=":")
    left.text(best + 3, 0.05, "early stopping\nwould stay here", fontsize=9)
    left.set_xlabel("epoch")
    left.set_ylabel("loss")
    legend(left, loc="upper left")
    caption(left, "two losses part")
    across, up = np.linspace(-2, 3, 200, dtype=np.float32), np.linspace(-1.6, 2.1, 150, dtype=np.float32)
    grid = mx.array(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2))
    p = np.array(mf.functional.softmax(model.predict(grid)))[:, 1].reshape(150, 200)
    tints = LinearSegmentedColormap.from_list("classes", [COLOURS[1], "white", COLOURS[0]])  # as the points below
    middle.contourf(across, up, p, levels=np.linspace(0, 1, 11), cmap=tints, alpha=0.5)
    x, labels = map(np.array, data(0))
    for k, marker in enumerate("os"):
        middle.scatter(*x[labels == k].T, s=28, marker=marker, color=COLOURS[1 - k], edgecolors="white")
    caption(middle, "sure everywhere, and bent around single points")
    for place, run in enumerate(REMEDIES.values()):
        losses = [run(seed)[0].evaluate(*TEST, loss="cross_entropy")["loss"] for seed in range(4)]
        right.plot(losses, [place] * 4, "o", color=COLOURS[0], alpha=0.7)
        right.plot(np.mean(losses), place, "|", color=INK, markersize=18, markeredgewidth=2)
    right.set_yticks(range(len(REMEDIES)), REMEDIES)
    right.invert_yaxis()
    right.set_xscale("log")
    right.set_xticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
    right.minorticks_off()
    right.set_xlabel("loss on fresh data: each seed, and the mean")
    caption(right, "remedies")
    return figure


FIGURES = {"lesson_07_gap.png": gap}
