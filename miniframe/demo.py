"""The demo: train the disk model, report its errors, draw what it learned."""

from __future__ import annotations

import math
from pathlib import Path

import mlx.core as mx

from . import backend, datasets, plots
from .bench.epoch_times import EpochTimes
from .core import random
from .core.sequential import Sequential
from .data.labels import one_hot
from .layers import Linear, Tanh
from .losses import MSELoss
from .optimizers import SGD
from .training.callbacks import Callback
from .training.history import History

BATCH = 100
TEST_POINTS = 10_000


def disk_model(hidden: int = 25, layers: int = 3) -> Sequential:
    """The demo's network: 2 inputs, three hidden layers of 25 Tanh units, 2 outputs."""
    sizes = [2] + [hidden] * layers
    model = Sequential()
    for inputs, outputs in zip(sizes, sizes[1:]):
        model.append(Linear(inputs, outputs)).append(Tanh())
    return model.append(Linear(hidden, 2))


def centred(x: mx.array) -> mx.array:
    """Points of the unit square with mean 0 and variance 1: networks learn faster from centred, scaled inputs."""
    return (x - 0.5) * math.sqrt(12)


def train_disk(
    model: Sequential, points: int, epochs: int, seed: int, verbose: int = 1, callbacks: tuple[Callback, ...] = ()
) -> History:
    """Train a model on ``points`` points of the disk as the demo does: momentum, and a rate falling on a cosine."""
    x, labels = datasets.disk(points, seed=seed)
    steps = epochs * math.ceil(points / BATCH)
    optimizer = SGD(model, lr=lambda step: 0.1 * (1 + math.cos(math.pi * step / steps)), momentum=0.9)
    return model.fit(
        centred(x), one_hot(labels, 2), loss=MSELoss(), optimizer=optimizer, epochs=epochs, batch_size=BATCH,
        metrics=["error_rate"], callbacks=callbacks, seed=seed, verbose=verbose,
    )  # fmt: skip


def errors(model: Sequential, x: mx.array, labels: mx.array) -> float:
    """The fraction of points that the model puts on the wrong side."""
    return model.evaluate(centred(x), one_hot(labels, 2), loss=MSELoss(), metrics=["error_rate"])["error_rate"]


def run(points: int, epochs: int, seed: int, folder: str) -> None:
    """The whole demo, as ``miniframe demo`` runs it."""
    if points < 1 or epochs < 1:
        raise ValueError(f"expected at least 1 point and 1 epoch, got {points} and {epochs}")
    print(f"device: {backend.device()}")
    print(f"BLAS:   {backend.blas()}")
    random.seed(seed)
    model = disk_model()
    times = EpochTimes()
    history = train_disk(model, points, epochs, seed, callbacks=(times,))
    x, labels = datasets.disk(points, seed=seed)
    test_x, test_labels = datasets.disk(TEST_POINTS, seed=seed + 1_000_000)
    print(f"training error: {errors(model, x, labels):.2%} of {points:,} points")
    print(f"test error:     {errors(model, test_x, test_labels):.2%} of {TEST_POINTS:,} fresh points")
    print(f"time per epoch: {times.median_ms():.2f} ms (median of {len(history.epoch)} epochs)")
    for path in _write_figures(model, test_x, test_labels, history, Path(folder)):
        print(f"figure:         {path}")


def _write_figures(model: Sequential, x: mx.array, labels: mx.array, history: History, folder: Path) -> list[Path]:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("figures:        none, as matplotlib is missing: pip install 'miniframe[figures]'")
        return []
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "demo_regions.png": plots.decision_regions(lambda points: model.predict(centred(points)), x, labels),
        "demo_curves.png": plots.curves(history),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=150)
    return [folder / name for name in figures]
