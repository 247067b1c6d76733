"""LeNet on MNIST. Not the official split: it learns from 8,000 of the 10,000 test images and is tested on the others.

The official split has 60,000 training images; this one only needs the two files t10k-images-idx3-ubyte.gz and
t10k-labels-idx1-ubyte.gz, in the folder given, in MINIFRAME_DATA/mnist, or in ../shared/data/mnist.

    python benchmarks/mnist.py [--folder PATH]       # under two minutes on two cores; writes results/mnist.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.bench.sides import side

RESULTS = Path(__file__).parent / "results" / "mnist.json"
SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "mnist"


def split(folder: Path | None, seed: int = 0) -> tuple[tuple[mx.array, mx.array], tuple[mx.array, mx.array]]:
    """8,000 images to learn from and the other 2,000, drawn at random from the 10,000 test images."""
    if folder is None and SHARED.is_dir():
        folder = SHARED
    images, labels = mf.datasets.mnist("test", folder)
    order = mx.array(np.random.default_rng(seed).permutation(len(images)))
    learn, test = order[:8000], order[8000:]
    return (images[learn], labels[learn]), (images[test], labels[test])


def train(
    data: tuple[mx.array, mx.array], epochs: int = 8, seed: int = 0, verbose: int = 2
) -> tuple[mf.Sequential, float]:
    """LeNet after some epochs with shifted images and a falling rate, and the seconds that took."""
    mf.seed(seed)
    model = mf.models.lenet()
    steps = epochs * -(-len(data[0]) // 50)
    start = time.perf_counter()
    model.fit(
        mf.datasets.augmented(*data, 50, lambda images: mf.datasets.random_shift(images, 2), seed=seed),
        loss="cross_entropy",
        optimizer=mf.SGD(model, lr=mf.schedules.cosine(0.05, steps), momentum=0.9),
        metrics=["accuracy"],
        epochs=epochs,
        verbose=verbose,
        seed=seed,
    )
    return model, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    learn, test = split(options.folder)
    model, seconds = train(learn, options.epochs)
    accuracy = model.evaluate(*test)["accuracy"]
    print("not the official split: 8,000 of the 10,000 test images to learn from, the other 2,000 to test on")
    print(f"{100 * accuracy:.2f}% of 2,000 right after {seconds:.0f} s of training")
    results = {"split": "8,000 / 2,000 of the 10,000 official test images", "accuracy": accuracy, "seconds": seconds}
    results["computed on"] = side("mlx")
    print(f"computed on {results['computed on']}")
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
