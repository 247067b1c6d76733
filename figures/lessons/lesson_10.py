"""Lesson 10: saliency, class activation maps and maximal activations of the network that knows lines."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import bare, caption, sheet


def lines(n, seed):
    rng = np.random.default_rng(seed)
    pictures, labels = rng.normal(size=(n, 10, 10, 1)) * 0.1, rng.integers(0, 3, n)
    for picture, label in zip(pictures, labels):
        row, column = rng.integers(2, 8, 2)
        if label != 1:
            picture[row, 1:9, 0] = 1
        if label != 0:
            picture[1:9, column, 0] = 1
    return mx.array(pictures.astype(np.float32)), mx.array(labels.astype(np.int32))


def trained():
    mf.seed(0)
    model = mf.Sequential(
        {
            "conv1": mf.Conv2d(1, 6, 3, padding=1),
            "relu1": mf.ReLU(),
            "conv2": mf.Conv2d(6, 8, 3, padding=1),
            "relu2": mf.ReLU(),
            "pool": mf.GlobalAvgPool2d(),
            "classes": mf.Linear(8, 3),
        }
    )
    x, labels = lines(300, 0)
    optimizer = mf.Adam(model, lr=0.01)
    model.fit(
        x, labels, loss="cross_entropy", optimizer=optimizer, epochs=12, batch_size=30, seed=0, compile=False, verbose=0
    )
    return model.eval()


def why():
    model = trained()
    test, labels = lines(100, 1)
    chosen = [next(i for i in range(100) if labels[i].item() == k) for k in range(3)]
    pictures = test[mx.array(chosen)]
    target = mx.array([0, 1, 2])
    figure, axes = sheet(3, 4, (10.8, 8.2))
    rows = {
        "picture": np.array(pictures)[..., 0],
        "saliency": np.array(mf.explain.saliency(model, pictures, target=target)),
        "class activation map": np.array(mf.explain.grad_cam(model, pictures, "relu2", target=target)),
    }
    for k, name in enumerate(("horizontal", "vertical", "both")):
        for column, images in enumerate(rows.values()):
            image = images[k] / images[k].max() if column else images[k]
            shown = axes[k, column].imshow(image, cmap="inferno" if column else "gray", vmin=0, vmax=1)
        found = mf.explain.maximize_activation(model, "classes", k, shape=(10, 10, 1), steps=60, contrast=0.2, blur=0)
        axes[k, 3].imshow(np.array(found.image)[..., 0], cmap="gray", vmin=0, vmax=1)
        axes[k, 0].set_ylabel(name, fontsize=11)
    for ax in axes.flat:
        bare(ax)
    for ax, title in zip(axes[0], (*rows, "maximal activation")):
        caption(ax, title)
    for ax in axes[:, 3]:
        ax.spines[:].set_visible(True)
    bar = figure.colorbar(shown, ax=axes[:, 1:3], location="bottom", shrink=0.5, aspect=40)
    bar.set_ticks([0, 1], labels=["no effect", "the largest of this map"])
    return figure


FIGURES = {"lesson_10_why.png": why}
