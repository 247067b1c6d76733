"""The demo: train the disk model, report its errors, draw what it learned."""

from __future__ import annotations

import importlib.util
import math
import os
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
MOST = 10**9  # points, epochs, and the largest seed


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
    if not 1 <= points <= MOST or not 1 <= epochs <= MOST:
        raise ValueError(f"expected 1 to {MOST:,} points and epochs, got {points} and {epochs}")
    if not 0 <= seed <= MOST:
        raise ValueError(f"expected a seed from 0 to {MOST:,}, got {seed}")
    figures = _folder_for_figures(folder)
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
    if figures is None:
        print("figures:        none, as matplotlib is missing: pip install 'miniframe[figures]'")
        return
    for path in _write_figures(model, test_x, test_labels, history, figures):
        print(f"figure:         {path}")


def _folder_for_figures(name: str) -> Path | None:
    """The folder, made if need be, before anything is trained; None without matplotlib, which draws the figures."""
    if importlib.util.find_spec("matplotlib") is None:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {name!r} for the figures: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write figures into the folder {name!r}: no permission")
    return folder


def _write_figures(model: Sequential, x: mx.array, labels: mx.array, history: History, folder: Path) -> list[Path]:
    figures = {
        "demo_regions.png": plots.decision_regions(lambda points: model.predict(centred(points)), x, labels),
        "demo_curves.png": plots.curves(history),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=150)
    return [folder / name for name in figures]
