"""Time per epoch of miniframe, PyTorch, mlx.nn, Keras and JAX, taking turns in one process.

    python benchmarks/time_per_epoch.py           # the same as "make bench"

Writes results/time_per_epoch.json, which figures/core.py draws. The systems are in miniframe/bench/systems.py.
"""

import own_kernels  # noqa: F401  isort: skip

from pathlib import Path

from miniframe.bench import run

if __name__ == "__main__":
    run(None, 9, str(Path(__file__).parent / "results" / "time_per_epoch.json"), None)
