"""How many errors the disk model makes on fresh points: ten seeds each, all of them reported, and their medians.

Three trainings: the demo's default (10,000 points), the same on 1,000 points, and that with Dropout. The number of
steps is the same in all three, so that the smaller data sets are not also trained less.

    python benchmarks/disk_accuracy.py            # about two minutes on two cores; writes results/disk_accuracy.json
"""

import argparse
import json
from pathlib import Path

import numpy as np

import miniframe as mf
from miniframe import demo
from miniframe.bench.sides import side

RESULTS = Path(__file__).parent / "results" / "disk_accuracy.json"


def with_dropout(p: float = 0.05) -> mf.Sequential:
    """The disk model with Dropout after every hidden layer."""
    model = mf.Sequential()
    for layer in demo.disk_model():
        model.append(layer)
        if isinstance(layer, mf.Tanh):
            model.append(mf.Dropout(p))
    return model


TRAININGS = {
    "10,000 points": (demo.disk_model, 10_000, 60),
    "1,000 points": (demo.disk_model, 1000, 600),
    "1,000 points, Dropout 0.05": (with_dropout, 1000, 600),
}


def test_error(build, points: int, epochs: int, seed: int) -> float:
    """Train from one seed; the share of 10,000 fresh points that are then misplaced."""
    mf.seed(seed)
    model = build()
    demo.train_disk(model, points, epochs, seed, verbose=0)
    return demo.errors(model, *mf.datasets.disk(10_000, seed=seed + 1_000_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    results = {}
    for name, (build, points, epochs) in TRAININGS.items():
        errors = [round(100 * test_error(build, points, epochs, seed), 2) for seed in range(options.seeds)]
        results[name] = {"test errors in %": errors, "median": round(float(np.median(errors)), 3), "epochs": epochs}
        print(f"{name}: median {results[name]['median']:.2f}% of {errors}", flush=True)
    results["computed on"] = side("mlx")
    print(f"computed on {results['computed on']}")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
