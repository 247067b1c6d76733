"""How fast the product of two matrices is, by size, on each device that is here: one core, all cores, a GPU.

    python benchmarks/matmul.py [seconds for each size and device]

Sizes double from 32 x 32 to 2048 x 2048. What is printed is the median time of a product and its GFLOP/s (a product of
n x n matrices is 2 n³ operations), then, for each device, from which size on it is faster than one core, and how many
times at most. Small products lose: starting threads or a GPU costs the same for 32 x 32 as for 2048 x 2048.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import mlx.core as mx

from miniframe.backend.fast_blas import one_thread
from miniframe.bench.sides import side

SIZES = [32, 64, 128, 256, 512, 1024, 2048]
WARM_UP = 3


def devices() -> dict[str, tuple[mx.Device, Callable[[], AbstractContextManager[None]]]]:
    """The devices that are here: a name, MLX's device, and what is to be switched while it is timed."""
    found = {
        "one core": (mx.Device(mx.cpu, 0), one_thread),
        "all cores": (mx.Device(mx.cpu, 0), nullcontext),
    }
    if mx.default_device().type == mx.gpu:
        found["GPU"] = (mx.Device(mx.gpu, 0), nullcontext)
    return found


def time_of(size: int, device: mx.Device, seconds: float) -> float:
    """The median time of a product of two (size, size) float32 matrices, in seconds."""
    a, b = mx.random.normal((size, size)), mx.random.normal((size, size))
    mx.eval(a, b)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < WARM_UP + 5 or time.perf_counter() < end:
        start = time.perf_counter()
        mx.eval(mx.matmul(a, b, stream=device))
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])


def passes(times: dict[int, float], base: dict[int, float]) -> str:
    """Where a device passes the base, and how far, in words.

    >>> passes({32: 2.0, 64: 1.0, 128: 1.0}, {32: 1.0, 64: 1.0, 128: 4.0})
    'faster from 128 x 128 on; at most 4.0 times, at 128 x 128'
    >>> passes({32: 2.0}, {32: 1.0})
    'never faster; at best 0.5 times, at 32 x 32'
    """
    ratios = {size: base[size] / seconds for size, seconds in times.items()}
    best = max(ratios, key=lambda size: ratios[size])
    slower = [size for size in ratios if ratios[size] <= 1]
    behind = [size for size in ratios if not slower or size > max(slower)]
    if not behind:
        return f"never faster; at best {ratios[best]:.1f} times, at {best} x {best}"
    first = min(behind)
    return f"faster from {first} x {first} on; at most {ratios[best]:.1f} times, at {best} x {best}"


def measure(sizes: list[int], seconds: float) -> dict[str, dict[int, float]]:
    """For every device the time of every size; devices take turns, since timings on a busy machine drift."""
    found: dict[str, dict[int, float]] = {name: {} for name in devices()}
    for size in sizes:
        for name, (device, switched) in devices().items():
            with switched():
                found[name][size] = time_of(size, device, seconds)
    return found


def report(found: dict[str, dict[int, float]]) -> str:
    """A table of times and speeds, and a sentence for each device."""
    lines = [f"{'size':>6}" + "".join(f"{name:>26}" for name in found)]
    for size in next(iter(found.values())):
        cells = [
            f"{times[size] * 1e3:>10.3f} ms {2 * size**3 / times[size] / 1e9:>6.1f} GFLOP/s" for times in found.values()
        ]
        lines.append(f"{size:>6}" + "".join(f"{cell:>26}" for cell in cells))
    base = found["one core"]
    lines += [f"{name} beside one core: {passes(times, base)}" for name, times in found.items() if name != "one core"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"computed on {side('mlx')}")
    print(report(measure(SIZES, float(sys.argv[1]) if len(sys.argv) > 1 else 0.5)))
