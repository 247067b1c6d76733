"""Lesson 5's two experiments, five seeds each: how many points, and what Dropout does. Writes lesson_05.json.

Not part of ``python figures/lessons.py``, which only draws the result: it takes some minutes.
"""

import json
import math
from pathlib import Path

import miniframe as mf
from miniframe.demo import centred, disk_model, errors

SEEDS = range(5)
STEPS = 6000  # the same for every size, so that only the number of points differs
POINTS = (100, 300, 1000, 3000, 10_000, 30_000)
DROPOUT = (0.0, 0.1, 0.2, 0.5)
TEST = mf.datasets.disk(20_000, seed=999)


def with_dropout(p: float) -> mf.Sequential:
    """The demo's network with Dropout(p) after each Tanh."""
    model = mf.Sequential()
    for layer in disk_model():
        model.append(layer)
        if p and isinstance(layer, mf.Tanh):
            model.append(mf.Dropout(p))
    return model


def test_error(points: int, p: float, seed: int) -> float:
    mf.seed(seed)
    model = with_dropout(p)
    x, labels = mf.datasets.disk(points, seed=seed)
    optimizer = mf.SGD(model, lr=lambda step: 0.05 * (1 + math.cos(math.pi * step / STEPS)), momentum=0.9)
    epochs = STEPS * 100 // points
    y = mf.one_hot(labels, 2)
    model.fit(centred(x), y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=100, seed=seed, verbose=0)
    return errors(model, *TEST)


def main() -> None:
    results = {
        "points": {n: [test_error(n, 0.0, seed) for seed in SEEDS] for n in POINTS},
        "dropout": {f"{n} {p}": [test_error(n, p, seed) for seed in SEEDS] for n in (300, 3000) for p in DROPOUT},
    }
    Path(__file__).with_name("lesson_05.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
