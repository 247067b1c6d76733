"""Running the comparison: every system in turn, round after round, so that a slow moment of the machine hits all."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from .. import datasets
from ..backend import info
from ..data.labels import one_hot
from .sides import sides
from .systems import SYSTEMS, Trainer, Workload, installed


def workloads() -> dict[str, Workload]:
    """The three comparisons, by name."""
    disk = (2, 25, 25, 25, 2)
    rng = np.random.default_rng(0)

    def disk_data(n: int) -> tuple[np.ndarray, np.ndarray]:
        x, labels = datasets.disk(n, seed=0)
        return np.array(x), np.array(one_hot(labels, 2))

    mlp_x = rng.normal(size=(4096, 784)).astype(np.float32)
    mlp_y = rng.normal(size=(4096, 10)).astype(np.float32)
    return {
        "disk-1k": Workload("disk-1k", "disk, 1,000 points, batches of 100", disk, *disk_data(1000), batch=100),
        "disk-10k": Workload("disk-10k", "disk, 10,000 points, batches of 100", disk, *disk_data(10_000), batch=100),
        "mlp": Workload("mlp", "784-1024-1024-10, 4,096 samples, batches of 256", (784, 1024, 1024, 10),
                        mlp_x, mlp_y, batch=256),
    }  # fmt: skip


EPOCHS = {"disk-1k": 40, "disk-10k": 6, "mlp": 1}  # timed in one turn


def peak_rate(size: int = 1024, turns: int = 5) -> float:
    """Floating-point operations a second of the fastest of some products of square matrices: what nothing exceeds."""
    a = mx.random.normal((size, size))
    mx.eval(a @ a)
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter()
        mx.eval(a @ a)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def operations(work: Workload) -> int:
    """Floating-point operations of an epoch's products: forward, and both gradients but that of the data.

    >>> rows = np.zeros((10, 2), dtype=np.float32)
    >>> operations(Workload("w", "", (2, 3, 1), rows, rows, batch=5))  # 10 samples, 2 x 3 twice, 3 x 1 three times
    420
    """
    sizes = [inputs * outputs for inputs, outputs in work.layers]
    return 2 * len(work.x) * (3 * sum(sizes) - sizes[0])


def measure(work: Workload, rounds: int, systems: Sequence[str] | None = None) -> dict[str, Any]:
    """Milliseconds per epoch of each system: the median over rounds, all of them, and the ratio to miniframe."""
    mx.random.seed(0)
    trainers: dict[str, Trainer] = {}
    skipped: dict[str, str] = {}
    for name, (system, package) in SYSTEMS.items():
        if systems is not None and name not in systems:
            continue
        if not installed(package):
            skipped[name] = f"{package} is not installed"
            continue
        try:
            trainers[name] = system(work)
            trainers[name](3)  # warm-up: compilation, caches
        except Exception as error:  # a rival that fails is reported, and does not stop the others
            skipped[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            trainers.pop(name, None)
    times: dict[str, list[float]] = {name: [] for name in trainers}
    gc.collect()
    for turn in range(rounds):
        order = list(trainers) if turn % 2 == 0 else list(reversed(trainers))
        for name in order:
            times[name].append(trainers[name](EPOCHS[work.name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    own = medians.get("miniframe fit", float("nan"))
    peak = peak_rate()  # in the same moment of the machine
    return {
        "title": work.title,
        "peak_flops": peak,
        "share_of_peak": {name: operations(work) / (value / 1000) / peak for name, value in medians.items()},
        "ms_per_epoch": medians,
        "rounds": times,
        "ratio_to_miniframe": {name: value / own for name, value in medians.items()},
        "skipped": skipped,
    }


def table(result: dict[str, Any]) -> str:
    """One workload's result as text."""
    medians, ratios = result["ms_per_epoch"], result["ratio_to_miniframe"]
    shares = result["share_of_peak"]
    width = max(map(len, [*medians, *result["skipped"], "system"]))
    lines = [result["title"], f"  {'system':<{width}}  ms per epoch  times miniframe  of the peak"]
    for name in sorted(medians, key=medians.get):
        lines.append(f"  {name:<{width}}  {medians[name]:12.2f}  {ratios[name]:15.2f}  {100 * shares[name]:10.1f}%")
    lines.append(f"  peak: {result['peak_flops'] / 1e9:.0f} GFLOP/s, of a 1024 x 1024 product in the same run")
    lines += [f"  {name:<{width}}  skipped: {why}" for name, why in result["skipped"].items()]
    return "\n".join(lines)


def _check_format(path: str) -> None:
    """Raise unless matplotlib, which draws the figure, is there and knows the kind of file."""
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    if (ending := Path(path).suffix.lstrip(".").lower()) and ending not in known:
        raise ValueError(f"cannot draw {path!r}: expected a file that ends in one of {', '.join(known)}")


def run(names: Sequence[str] | None, rounds: int, json_path: str | None, figure_path: str | None) -> None:
    """Measure, print, and write the results as JSON and as a figure."""
    known = workloads()
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f"unknown workload {unknown[0]!r}; known: {', '.join(known)}")
    if rounds < 1:
        raise ValueError(f"expected at least 1 round, got {rounds}")
    for path in (json_path, figure_path):  # now, not after minutes of measuring
        if path is not None and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
            raise ValueError(f"cannot write {path!r}: expected the name of a file in a folder that exists")
    if figure_path is not None:
        _check_format(figure_path)
    machine = info()
    print(f"{machine['device']}; {machine['BLAS']}; MLX {machine['MLX']}, miniframe {machine['miniframe']}")
    print(f"products {machine['products']}; allocator {machine['allocator']}; freed memory {machine['freed memory']}")
    results, computed_on = {}, {}
    for name in names or known:
        results[name] = measure(known[name], rounds)
        timed = [package for system, (_, package) in SYSTEMS.items() if system in results[name]["ms_per_epoch"]]
        for package, words in sides(timed).items():
            if package not in computed_on:
                computed_on[package] = words
                print(f"{package} computes on {words}")
        print(table(results[name]), flush=True)
    if json_path:
        Path(json_path).write_text(
            json.dumps({"machine": machine, "computed on": computed_on, "workloads": results}, indent=1) + "\n"
        )
        print(f"wrote {json_path}")
    if figure_path:
        from .figure import draw

        draw(results).savefig(figure_path, dpi=150)
        print(f"wrote {figure_path}")
