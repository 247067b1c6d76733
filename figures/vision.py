"""Seeing: a small network learns the drawn shapes, and says why. Writes figures/vision_*.png in about a minute."""

from __future__ import annotations

import time
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe import BatchNorm, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential

FOLDER = Path(__file__).parent


def classifier() -> Sequential:
    """Three convolutions; their channels are averaged over the image and weighed for each class."""
    return Sequential(
        {
            "conv1": Conv2d(3, 16, 5, stride=2, padding=2, bias=False),  # 16x16x16
            "norm1": BatchNorm(16),
            "relu1": ReLU(),
            "conv2": Conv2d(16, 32, 3, padding=1, bias=False),
            "norm2": BatchNorm(32),
            "relu2": ReLU(),
            "pool2": MaxPool2d(2),  # 8x8x32
            "conv3": Conv2d(32, 64, 3, padding=1, bias=False),
            "norm3": BatchNorm(64),
            "relu3": ReLU(),
            "mean": GlobalAvgPool2d(),
            "scores": Linear(64, 3),
        }
    )


def noisy(images: mx.array) -> mx.array:
    """Strong noise in training teaches the network to look at large things, not at single pixels."""
    return images + 0.15 * mx.random.normal(images.shape)


def train(epochs: int = 6, verbose: int = 2) -> tuple[Sequential, float]:
    """The trained network, and the seconds it took."""
    mf.seed(0)
    images, labels = mf.datasets.shapes(4000, seed=0)
    model = classifier()
    rate = mf.schedules.cosine(0.05, steps=epochs * 80)
    start = time.perf_counter()
    model.fit(
        mf.datasets.augmented(images, labels, 50, noisy, seed=0),
        loss="cross_entropy",
        optimizer=mf.SGD(model, lr=rate, momentum=0.9, weight_decay=5e-4),
        metrics=["accuracy"],
        epochs=epochs,
        verbose=verbose,
        seed=0,
    )
    return model, time.perf_counter() - start


def share_inside(maps: mx.array, boxes: mx.array) -> np.ndarray:
    """(N,) which part of each map lies inside its box."""
    maps, boxes = np.array(maps), np.array(boxes)
    return np.array([m[a:c, b:d].sum() / max(m.sum(), 1e-12) for m, (a, b, c, d) in zip(maps, boxes)])


def maximal(model: Sequential, layer: str, channels: list[int]) -> list[mf.explain.Maximized]:
    """What these channels would like to see most."""
    return [
        mf.explain.maximize_activation(model, layer, channel, steps=64, rate=0.15, bounded=False)
        for channel in channels
    ]


def draw_saliency(model: Sequential, images: mx.array, labels: mx.array, boxes: mx.array) -> None:
    """Image, saliency, and saliency times input, each with the box around the object."""
    maps = {
        "gradient": mf.explain.saliency(model, images),
        "gradient x input": mf.explain.saliency(model, images, times_input=True),
    }
    rows = [np.array(images)]
    titles = [mf.datasets.SHAPE_NAMES[label] for label in labels.tolist()]
    for name, values in maps.items():
        scaled = np.array(values / values.max(axis=(1, 2), keepdims=True))
        rows.append(np.repeat(scaled[..., None], 3, axis=-1))
        titles += [f"{name}\n{100 * share:.0f}% inside" for share in share_inside(values, boxes)]
    figure = mf.plots.images(np.concatenate(rows), titles, columns=len(images), size=1.5)
    for index, ax in enumerate(figure.axes):
        top, left, bottom, right = boxes[index % len(images)].tolist()
        sides = [left - 0.5, right - 0.5, right - 0.5, left - 0.5, left - 0.5]
        ax.plot(sides, [top - 0.5, top - 0.5, bottom - 0.5, bottom - 0.5, top - 0.5], color="#ff9d3c", linewidth=1)
    figure.savefig(FOLDER / "vision_saliency.png")


def draw_cam(model: Sequential, images: mx.array, labels: mx.array) -> None:
    """Grad-CAM of the true class at two depths, over the image."""
    rows, titles = [np.array(images)], [mf.datasets.SHAPE_NAMES[label] for label in labels.tolist()]
    for layer in ("relu2", "relu3"):
        rows.append(np.array(mf.explain.overlay(images, mf.explain.grad_cam(model, images, layer, labels))))
        titles += [f"CAM at {layer}"] * len(images)
    mf.plots.images(np.concatenate(rows), titles, columns=len(images), size=1.4).savefig(FOLDER / "vision_cam.png")


def draw_gallery(model: Sequential) -> float:
    """Maximal activations by depth, eight channels of each layer; returns the smallest factor by which one rose."""
    pictures, titles, factors = [], [], []
    for layer, count in (("relu1", 16), ("relu2", 32), ("relu3", 64)):
        channels = list(range(0, count, count // 8))
        for channel, result in zip(channels, maximal(model, layer, channels)):
            factors.append(result.end / max(result.start, 1e-9))
            pictures.append(np.array(result.picture()))
            titles.append(f"{layer}[{channel}]\n{result.start:.2g} to {result.end:.3g}")
    mf.plots.images(np.stack(pictures), titles, columns=8, size=1.35).savefig(FOLDER / "vision_gallery.png")
    return min(factors)


def main() -> None:
    model, seconds = train()
    images, labels, boxes = mf.datasets.shapes(1000, seed=1, boxes=True)
    accuracy = model.evaluate(images, labels)["accuracy"]
    print(f"{100 * accuracy:.1f}% of 1,000 new images right after {seconds:.0f} s of training")
    for name, times_input in (("|gradient|", False), ("|gradient x input|", True)):
        maps = mf.explain.saliency(model, images, times_input=times_input)
        shares = share_inside(maps, boxes)
        print(f"{name}: {100 * shares.mean():.0f}% inside the box on average, over 80% for {(shares > 0.8).mean():.0%}")
    few = slice(0, 8)
    draw_saliency(model, images[few], labels[few], boxes[few])
    draw_cam(model, images[few], labels[few])
    print(f"maximal activations: each at least {draw_gallery(model):.0f} times its start")
    mf.plots.filters(mf.explain.filters(model, "conv1"), columns=8).savefig(FOLDER / "vision_filters.png")
    maps = mf.explain.activation_maps(model, images[1:2], "relu1")
    mf.plots.feature_maps(maps, columns=8).savefig(FOLDER / "vision_maps.png")
    guesses = model.predict(images)
    confusion = mf.plots.confusion_matrix(guesses, labels, names=mf.datasets.SHAPE_NAMES)
    confusion.savefig(FOLDER / "vision_confusion.png")


if __name__ == "__main__":
    main()
