"""How long a complete gradient check takes: all perturbed weights in vectorized calls, beside a loop over the weights.

    python benchmarks/gradient_check.py [rounds]

The network has 4,381 weights, so 8,762 perturbed losses. Both ways use the same model, batch, step and precision, and
are timed in turn, since timings on a busy machine drift; the ratio of the fastest rounds is what to look at.
"""

from __future__ import annotations

import sys
import time

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.bench.sides import side
from miniframe.checking.differences import STEP
from miniframe.checking.doubles import in_double_precision
from miniframe.checking.experiment import Experiment as Check


def network() -> mf.Sequential:
    """12 -> seven hidden layers of 25 -> 6, with ReLU: 4,381 weights."""
    widths = [12, *[25] * 7, 6]
    layers: list[mf.Module] = []
    for inside, outside in zip(widths, widths[1:]):
        layers += [mf.Linear(inside, outside), mf.ReLU()]
    for layer in layers[::2]:  # the usual start for ReLU, which keeps the gradients of the first layers large
        layer.weight.value = mf.initializers.kaiming_normal(layer.weight.shape)
    return mf.Sequential(*layers[:-1])


def batch(size: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 12)), rng.normal(size=(size, 6))


def by_loop(model: mf.Module, loss: mf.Loss, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Central differences as one writes them first: move a weight, run, move it back."""
    inputs, target = mx.array(x, dtype=mx.float64), mx.array(y, dtype=mx.float64)
    found = {}
    with mf.no_grad():
        base = loss(model(inputs), target).item()
        for name, parameter in model.named_parameters():
            value = np.array(parameter.value)
            flat, slopes = value.reshape(-1), np.zeros(value.size)
            for i, before in enumerate(flat.tolist()):
                for sign in (1, -1):
                    flat[i] = before + sign * STEP
                    parameter._value = mx.array(value, dtype=mx.float64)
                    change = loss(model(inputs), target).item() - base
                    slopes[i] += change / (flat[i] - before) / 2
                flat[i] = before
            parameter._value = mx.array(value, dtype=mx.float64)
            found[name] = slopes.reshape(value.shape)
    return found


def vectorized(model: mf.Module, loss: mf.Loss, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The same numbers as ``check_gradients`` finds them, without its input and its report."""
    check = Check(model, (x,), loss, y)
    check.upstream = [mx.array(np.ones(()), dtype=mx.float64)]
    found = {}
    for name, value, put in check.targets():
        if name != "input":
            right, left = check.slopes(value, put)
            found[name] = (right + left) / 2
    return found


def largest_difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """The largest ‖a - b‖ / (‖a‖ + ‖b‖) over the parameters."""
    return max(
        float(np.linalg.norm(a[name] - b[name]) / (np.linalg.norm(a[name]) + np.linalg.norm(b[name]))) for name in a
    )


def main(rounds: int = 3) -> None:
    mf.seed(0)
    model, loss, (x, y) = network(), mf.MSELoss(), batch()
    print(f"{sum(p.size for p in model.parameters()):,} weights")
    with mx.stream(mx.cpu):  # float64 exists on no GPU, so all of it is computed on the CPU
        print(f"all ways compute in float64 on {side('mlx')}")
    times: dict[str, list[float]] = {"loop": [], "vectorized": [], "whole check": []}
    for _ in range(rounds):
        with in_double_precision(model):
            start = time.perf_counter()
            slow = by_loop(model, loss, x, y)
            middle = time.perf_counter()
            fast = vectorized(model, loss, x, y)
            end = time.perf_counter()
        report = mf.check_gradients(model, x, loss=loss, target=y)
        times["whole check"].append(time.perf_counter() - end)
        times["loop"].append(middle - start)
        times["vectorized"].append(end - middle)
    assert report.passed, report
    for name, seconds in times.items():
        print(f"{name:<12} {min(seconds):7.3f} s (fastest of {rounds}), {sorted(seconds)[rounds // 2]:7.3f} s (median)")
    print(f"the loop takes {min(times['loop']) / min(times['vectorized']):.0f} times as long")
    print(f"largest relative difference {largest_difference(slow, fast):.1e}, backward's error {report.max_error:.1e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
