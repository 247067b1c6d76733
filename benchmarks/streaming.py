"""Training from a file larger than memory: how fast beside arrays in memory, and how much memory it takes.

    python benchmarks/streaming.py                    # prints both, and writes benchmarks/results/streaming.json

Speed: the same MLP trains on the same samples, once from arrays in memory and once from batches that a generator
reads from a memory-mapped file, epochs taken in turns. Memory: in a process of its own, which the operating system
allows much less memory than the file is large (Linux: RLIMIT_DATA), one epoch over the whole file.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.bench.sides import side

FEATURES, CLASSES, BATCH = 784, 10, 256
RESULTS = Path(__file__).parent / "results" / "streaming.json"


def model() -> mf.Sequential:
    mf.seed(0)
    return mf.Sequential(mf.Linear(FEATURES, 512), mf.ReLU(), mf.Linear(512, 512), mf.ReLU(), mf.Linear(512, CLASSES))


def make_file(path: Path, samples: int) -> None:
    """Random inputs, written piece by piece."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for start in range(0, samples, 8192):
            rows = min(8192, samples - start)
            rng.standard_normal((rows, FEATURES), dtype=np.float32).tofile(file)


def opened(path: Path) -> np.ndarray:
    return np.memmap(path, dtype=np.float32, mode="r").reshape(-1, FEATURES)


def labels_of(x: np.ndarray) -> np.ndarray:
    return np.argmax(x[:, :CLASSES], axis=1)


def read(x: np.ndarray, samples: int):
    """A function that returns a generator of batches in order, as fit takes it."""

    def batches():
        for start in range(0, samples, BATCH):
            batch = np.array(x[start : min(start + BATCH, samples)])
            yield batch, labels_of(batch)

    return batches


def speed(path: Path, samples: int, rounds: int) -> dict[str, float]:
    """Samples per second from memory and from the file, the best of some epochs taken in turns, and their ratio."""
    x = opened(path)
    in_memory = mx.array(x[:samples]), mx.array(labels_of(x[:samples]).astype(np.int32))
    mx.eval(in_memory)
    sources = {"memory": in_memory, "file": (read(x, samples),)}
    trained, seconds = model(), {name: [] for name in sources}
    optimizer = mf.SGD(trained, lr=0.01, momentum=0.9)
    for _ in range(1 + rounds):
        for name, data in sources.items():
            start = time.perf_counter()
            trained.fit(*data, loss="cross_entropy", optimizer=optimizer, batch_size=BATCH, shuffle=False, verbose=0)
            seconds[name].append(time.perf_counter() - start)
    ratios = [memory / file for memory, file in zip(seconds["memory"][1:], seconds["file"][1:])]
    return {
        **{name: samples / min(times[1:]) for name, times in seconds.items()},
        "file / memory, median": float(np.median(ratios)),
    }


def in_little_memory(path: Path, allowed: int) -> dict[str, float]:
    """One epoch over the whole file with so many bytes more than starting up took."""
    x, trained = opened(path), model()
    options = {"loss": "cross_entropy", "optimizer": mf.SGD(trained, lr=0.01, momentum=0.9), "verbose": 0}
    trained.fit(read(x, 20 * BATCH), **options)
    before = memory("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (before + allowed, before + allowed))
    anonymous = memory("RssAnon")
    peaks: list[int] = []

    def noting():
        for batch in read(x, len(x))():
            peaks.append(memory("RssAnon"))
            yield batch

    trained.fit(noting, **options)
    half = len(peaks) // 2
    return {
        "file MB": path.stat().st_size / 2**20,
        "allowed MB": allowed / 2**20,
        "used MB in the first half": (max(peaks[:half]) - anonymous) / 2**20,
        "used MB in the second half": (max(peaks[half:]) - anonymous) / 2**20,
    }


def memory(kind: str) -> int:
    """Bytes of this process: VmData, what the limit counts, or RssAnon, what is really used apart from files."""
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status[kind].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200_000, help="in the file (3 kB each)")
    parser.add_argument("--compared", type=int, default=20_000, help="samples of the comparison with memory")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--allowed", type=int, default=128, help="megabytes")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.file:
        print(json.dumps(in_little_memory(arguments.file, arguments.allowed * 2**20)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.f32"
        make_file(path, arguments.samples)
        results = {"samples per second": speed(path, arguments.compared, arguments.rounds)}
        if sys.platform.startswith("linux"):
            command = [sys.executable, __file__, "--file", str(path), "--allowed", str(arguments.allowed)]
            results["memory"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    results["computed on"] = side("mlx")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
