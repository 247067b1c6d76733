"""How much faster two processes train than one: the 784-1024-1024-10 network at a global batch of 1,024.

    python benchmarks/data_parallel.py            # 1 and 2 ranks in turn, five times each; two minutes

Every rank computes with one BLAS thread, so that two ranks use two cores and one rank uses one. They talk over MLX's
ring on this machine. Epochs are timed by a callback on rank 0. The result of a start is its fastest epoch, and that of
a number of ranks its fastest start: whatever else the machine does can only make it slower. Processor time is what rank
0 computes in a step, with its part of the messages.

The ranks are started with the variables that mlx.launch would set, and once more in each turn by mlx.launch itself,
which in MLX 0.32 keeps a core busy while it waits for their output. Where there are only as many cores as ranks, that
shows. Writes results/data_parallel.json.
"""

import own_kernels  # noqa: F401  isort: skip

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.bench.sides import side

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


def start(ranks: int, launcher: bool = False) -> dict[str, float]:
    """Milliseconds per step with so many ranks, started one by one or by mlx.launch."""
    one_thread = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")}
    environment, script = {**os.environ, **one_thread}, [sys.executable, __file__, "--train"]
    piped = {"capture_output": True, "text": True, "timeout": 300}
    if launcher:
        command = [str(Path(sys.executable).with_name("mlx.launch")), "-n", str(ranks), *script]
        done = subprocess.run(command, env=environment, stdin=subprocess.PIPE, **piped)
    elif ranks == 1:
        done = subprocess.run(script, env=environment, **piped)
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as hosts:
            json.dump([[f"127.0.0.1:{port}"] for port in free_ports(ranks)], hosts)
            hosts.flush()
            each = [{**environment, "MLX_HOSTFILE": hosts.name, "MLX_RANK": str(rank)} for rank in range(ranks)]
            others = [subprocess.Popen(script, env=one) for one in each[1:]]
            try:
                done = subprocess.run(script, env=each[0], **piped)
            finally:
                for process in others:
                    process.terminate()
                    process.wait()
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(done.stdout + done.stderr)
    result: dict[str, float] = json.loads(lines[0])
    assert result.pop("ranks") == ranks
    return result


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def main(repeats: int) -> None:
    starts: dict[str, list[dict[str, float]]] = {"1": [], "2": [], "2 by mlx.launch": []}
    for turn in range(repeats):
        for name, found in starts.items():
            found.append(start(int(name[0]), launcher="launch" in name))
            words = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in found[-1].items())
            print(f"turn {turn + 1}, ranks {name}: {words} per step", flush=True)
    computed_on = f"{side('mlx')}; one BLAS thread for each rank"
    print(f"computed on {computed_on}")
    result: dict[str, object] = {"batch": BATCH, "computed on": computed_on, "starts": starts}
    best = {name: {kind: min(one[kind] for one in found) for kind in found[0]} for name, found in starts.items()}
    for name in ("2", "2 by mlx.launch"):
        for kind in ("wall", "processor"):
            one, two = best["1"][kind], best[name][kind]
            result[f"{kind} speedup, {name}"] = round(one / two, 2)
            print(f"{kind}: 1 rank {one:.1f} ms, ranks {name} {two:.1f} ms per step: {one / two:.2f} times as fast")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="be one of the ranks")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    train() if arguments.train else main(arguments.repeats)
