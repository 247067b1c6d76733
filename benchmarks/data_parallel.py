"""How much faster two processes train than one: the 784-1024-1024-10 network at a global batch of 1,024.

    python benchmarks/data_parallel.py            # 1 and 2 ranks in turn, five times each

Every rank computes with one BLAS thread, so that two ranks use two cores and one rank uses one. The ranks are started
by mlx.launch on this machine and talk over the ring back end. Epochs are timed by a callback on rank 0. The result of
a launch is its fastest epoch, and that of a number of ranks its fastest launch: whatever else the machine does can
only make it slower. On a busy machine, look at the time of the processor too: it is what one rank computes in a step,
with its part of the messages. Writes results/data_parallel.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf

RESULTS = Path(__file__).parent / "results" / "data_parallel.json"
BATCH, STEPS, EPOCHS = 1024, 4, 10


class Clock(mf.Callback):
    """The milliseconds of a step in each epoch: on the wall, and of this process's processor time."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.begun = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.wall.append(1000 / STEPS * (time.perf_counter() - self.begun[0]))
        self.processor.append(1000 / STEPS * (time.process_time() - self.begun[1]))


def train() -> None:
    """One launch: train, and let rank 0 print milliseconds per step."""
    rng = np.random.default_rng(0)
    x = mx.array(rng.random((BATCH * STEPS, 784), dtype=np.float32))
    labels = mx.array(rng.integers(0, 10, BATCH * STEPS, dtype=np.int32))
    mf.seed(0)
    model = mf.Sequential(mf.Linear(784, 1024), mf.ReLU(), mf.Linear(1024, 1024), mf.ReLU(), mf.Linear(1024, 10))
    clock = Clock()
    optimizer = mf.SGD(model, lr=0.01, momentum=0.9)
    loss = mf.CrossEntropyLoss()
    model.fit(x, labels, loss=loss, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[clock])
    if mf.distributed.rank() == 0:
        found = {"wall": min(clock.wall[1:]), "processor": min(clock.processor[1:])}
        print(json.dumps({"ranks": mf.distributed.size(), **found}))


def launch(ranks: int) -> dict[str, float]:
    """Milliseconds per step with so many ranks."""
    launcher = Path(sys.executable).with_name("mlx.launch")
    command = [str(launcher), "-n", str(ranks), sys.executable, __file__, "--train"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.PIPE)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(done.stdout + done.stderr)
    result = json.loads(lines[0])
    assert result.pop("ranks") == ranks
    return result


def main(repeats: int) -> None:
    launches: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for turn in range(repeats):
        for ranks, found in launches.items():
            found.append(launch(ranks))
            words = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in found[-1].items())
            print(f"turn {turn + 1}, ranks {ranks}: {words} per step", flush=True)
    result: dict[str, object] = {"batch": BATCH, "launches": launches}
    for kind in ("wall", "processor"):
        one, two = (min(launch[kind] for launch in found) for found in launches.values())
        result[f"{kind} speedup"] = round(one / two, 2)
        print(f"{kind}: 1 rank {one:.1f} ms, 2 ranks {two:.1f} ms per step: {one / two:.2f} times as fast")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="be one of the ranks")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    train() if arguments.train else main(arguments.repeats)
