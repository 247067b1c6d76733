"""Measures how long a training step takes over the width of the network, eager and compiled. Writes lesson_20.json.

Not part of ``python figures/lessons.py``, which only draws the result: it depends on the machine.
"""

import json
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core is steadier

import mlx.core as mx

import miniframe as mf
from miniframe.training.step import Step

WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
ROUNDS = 15


def step_of(width: int, compile: bool):
    """A function that runs one training step of a network with two hidden layers of this width."""
    model = mf.Sequential(
        mf.Linear(2, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(),
        mf.Linear(width, 2),
    )  # fmt: skip
    step = Step(model, mf.MSELoss(), mf.SGD(model, lr=0.01, momentum=0.9), compile=compile)
    x, labels = mf.datasets.disk(100, seed=0)
    y = mf.one_hot(labels, 2)

    def run() -> None:
        value, _ = step(x, y)
        mx.eval(value, [p.value for p in model.parameters()])

    return run


def main() -> None:
    times: dict[str, list[float]] = {"eager": [], "compiled": []}
    for width in WIDTHS:
        steps = {"eager": step_of(width, False), "compiled": step_of(width, True)}
        found: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():  # in turns
                start = time.perf_counter()
                step()
                found[name].append(1000 * (time.perf_counter() - start))
        for name, values in found.items():
            times[name].append(round(min(values), 4))
    results = {"widths": WIDTHS, "rounds": ROUNDS, "milliseconds": times}
    Path(__file__).with_name("lesson_20.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
