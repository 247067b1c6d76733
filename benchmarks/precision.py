"""Does training in bfloat16 end where float32 does, within what another seed changes, and how long does it take?

    python benchmarks/precision.py [--seeds 3] [--folder PATH]      # some minutes; writes results/precision.json

LeNet learns MNIST as in mnist.py (8,000 of the 10,000 test images, two epochs), the GPT of ``make gpt`` the
documentation of Python (300 batches of 16 windows of 64 characters). What is compared is the loss on held-out data.
"""

from __future__ import annotations

import own_kernels  # noqa: F401  isort: skip

import argparse
import json
import time
from pathlib import Path

import mlx.core as mx
import mnist

import miniframe as mf
from miniframe.bench.sides import side

RESULTS = Path(__file__).parent / "results" / "precision.json"
STEPS, CONTEXT, BATCH = 300, 64, 16


def lenet(precision: str, seed: int, folder: Path | None) -> tuple[float, float]:
    """The held-out loss, and the seconds of training."""
    learn, test = mnist.split(folder)
    mf.seed(seed)
    model = mf.models.lenet()
    optimizer = mf.SGD(model, lr=mf.schedules.cosine(0.05, 160), momentum=0.9)
    return timed(model, optimizer, test, *learn, precision=precision, batch_size=100, epochs=2, seed=seed)


def gpt(precision: str, seed: int, folder: Path | None) -> tuple[float, float]:
    """The held-out loss, and the seconds of training."""
    tokenizer = mf.datasets.CharTokenizer(text := mf.datasets.docs_text())
    learn, held_out = mf.datasets.hold_out(tokenizer.encode(text))
    mf.seed(seed)
    model = mf.models.GPT(tokenizer.vocabulary_size, CONTEXT, embed_dim=96, num_heads=4, num_layers=4, rotary=True)
    batches = [mf.datasets.random_windows(learn, CONTEXT, BATCH) for _ in range(STEPS)]
    rate = mf.schedules.warmup(mf.schedules.cosine(6e-3, STEPS), 30)
    optimizer = mf.AdamW(model, lr=rate, weight_decay=0.1, clip_norm=1.0)
    return timed(model, optimizer, mf.datasets.windows(held_out, CONTEXT), batches, precision=precision, epochs=1)


def timed(model: mf.Module, optimizer: mf.Optimizer, test, *data, **options) -> tuple[float, float]:
    start = time.perf_counter()
    model.fit(*data, loss="cross_entropy", optimizer=optimizer, verbose=0, **options)
    mx.eval([p.value for p in model.parameters()])
    seconds = time.perf_counter() - start
    return model.evaluate(*test)["loss"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where MNIST's files are")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    print(f"computed on {side('mlx')}")
    for train in (lenet, gpt):
        for seed in range(options.seeds):
            for precision in ("float32", "bfloat16"):
                loss, seconds = train(precision, seed, options.folder)
                row = found.setdefault(train.__name__, {}).setdefault(precision, {"loss": [], "seconds": []})
                row["loss"].append(round(loss, 4))
                row["seconds"].append(round(seconds, 1))
                print(
                    f"{train.__name__:6} seed {seed}, {precision:8}: loss {loss:.4f} after {seconds:.1f} s", flush=True
                )
    RESULTS.write_text(json.dumps({"computed on": side("mlx"), "results": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
