"""Does training leak? Memory before and after 1,000 epochs of the disk model (1,000 points, batches of 100).

python benchmarks/memory.py        # prints the growth; a few seconds
"""

import resource
import sys

import mlx.core as mx

import miniframe as mf
from miniframe.bench.sides import side

EPOCHS = 1000


class Memory(mf.Callback):
    """Notes MLX's own memory and the process's peak after the warm-up and at the end."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch + 1 in (EPOCHS // 10, EPOCHS):
            mx.synchronize()
            unit = 1 if sys.platform == "darwin" else 1024
            self.seen.append((mx.get_active_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))


def main() -> None:
    x, labels = mf.datasets.disk(1000, seed=0)
    model = mf.Sequential(mf.Linear(2, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(),
                          mf.Linear(25, 2))  # fmt: skip
    memory = Memory()
    optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
    model.fit(x, mf.one_hot(labels, 2), loss="mse", optimizer=optimizer, epochs=EPOCHS, batch_size=100, verbose=0,
              callbacks=[memory])  # fmt: skip
    print(f"computed on {side('mlx')}")
    (active, peak), (active_end, peak_end) = memory.seen
    print(f"MLX arrays: {active:,} bytes after {EPOCHS // 10} epochs, {active_end:,} after {EPOCHS:,}")
    print(f"process peak: {peak / 2**20:.1f} MiB, then {peak_end / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
