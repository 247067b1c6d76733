"""What a training step costs over width, batch, depth and the number of samples, and what it cannot cost less than.

    python benchmarks/scaling.py                 # about a minute; writes results/scaling.json and figures/scaling.png
    python benchmarks/scaling.py --drawn         # only the picture, from the numbers of the last time

The network has 32 inputs, ReLU between its layers and 10 outputs; the loss is the mean squared error, the update SGD
with momentum. Numbers are medians. The limit is measured in the same run: the rate of a product of 1024 x 1024 matrices
and that of adding two long arrays: a step's multiply-adds at the first, plus the bytes of its weights and activations,
each moved as often as the formulas say, at the second. What lies above the limit is what it costs to start operations;
a point lies a little below where the caches hold the numbers, so that the memory need not move them.
"""

from __future__ import annotations

import own_kernels  # noqa: F401  isort: skip

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from steps import INPUTS, OUTPUTS, network, ours

HERE = Path(__file__).parent
AXES: dict[str, list[tuple[int, int, int]]] = {  # (width, batch, hidden layers)
    "width": [(width, 100, 3) for width in (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)],
    "batch": [(64, batch, 3) for batch in (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)],
    "depth": [(64, 100, depth) for depth in (1, 2, 4, 8, 16, 32, 64)],
}
SAMPLES = [100, 1000, 10_000, 100_000, 1_000_000]  # of an epoch of fit in batches of 100, width 64, 3 hidden layers
SECONDS = 0.8  # for each point


def step_time(width: int, batch: int, depth: int) -> float:
    """Seconds of a step as ``fit`` takes it."""
    run = ours(f"{width}:{batch}:{depth}")
    run(3)
    count = max(1, int(SECONDS / 9 / run(2)))
    return statistics.median(run(count) for _ in range(9))


def epoch_time(samples: int) -> float:
    """Seconds of an epoch of ``fit``, the first one, which traces the step, left out."""
    import numpy as np

    import miniframe as mf

    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(samples, size)).astype(np.float32) for size in (INPUTS, OUTPUTS))
    model = network("64:100:3")
    times: list[float] = []

    class Clock(mf.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            times.append(time.perf_counter() - self.start)

    epochs = 2 + min(30, 300_000 // samples)
    optimizer = mf.SGD(model, lr=1e-3, momentum=0.9)
    model.fit(x, y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=100, verbose=0, callbacks=[Clock()])
    return statistics.median(times[1:])


def bandwidth() -> float:
    """Bytes a second, read and written, while two arrays that no cache holds are added."""
    import mlx.core as mx

    a, b = mx.ones((2**25,)), mx.ones((2**25,))
    mx.eval(a, b)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        mx.eval(a + b)
        times.append(time.perf_counter() - start)
    return 3 * a.nbytes / statistics.median(times)


def least(width: int, batch: int, depth: int, rates: dict[str, float]) -> float:
    """Seconds that a step needs if nothing but arithmetic and memory costs time, and no cache helps."""
    sizes = [INPUTS, *[width] * depth, OUTPUTS]
    weights = sum(a * b for a, b in zip(sizes, sizes[1:]))
    operations = 2 * batch * (3 * weights - sizes[0] * sizes[1])  # three products a layer, two for the first
    moved = 4 * (5 * weights + batch * 6 * sum(sizes[1:]))  # the update: 3 read, 2 written; activations both ways
    return operations / rates["operations a second"] + moved / rates["bytes a second"]


def measured() -> dict[str, Any]:
    from miniframe.backend import info
    from miniframe.bench.runner import peak_rate
    from miniframe.bench.sides import sides

    rates = {"operations a second": peak_rate(), "bytes a second": bandwidth()}
    print(", ".join(f"{rate:.3g} {name}" for name, rate in rates.items()), flush=True)
    found: dict[str, Any] = {"machine": info(), "computed on": sides(("mlx",)), "rates": rates, "steps": {}}
    for axis, points in AXES.items():
        rows = [[width, batch, depth, step_time(width, batch, depth)] for width, batch, depth in points]
        found["steps"][axis] = rows
        for width, batch, depth, seconds in rows:
            share = least(width, batch, depth, rates) / seconds
            print(f"{width:5} : {batch:6} : {depth:3}  {1e6 * seconds:9.0f} µs, of which the limit is {share:.0%}")
    found["epochs"] = [[samples, epoch_time(samples)] for samples in SAMPLES]
    return found


def drawn(found: dict[str, Any]) -> Any:
    """Above, microseconds for a step; below, for a sample; the limit as a dashed line."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    from miniframe.plots.canvas import COLOURS, caption, logarithmic, sheet

    figure, panels = sheet(2, 4, (14, 6.4))
    for column, (axis, rows) in enumerate(found["steps"].items()):
        place = {"width": 0, "batch": 1, "depth": 2}[axis]
        xs = [row[place] for row in rows]
        limits = [least(*row[:3], found["rates"]) for row in rows]
        for panel, divide in ((panels[0, column], False), (panels[1, column], True)):
            scale = [1e6 / (row[1] if divide else 1) for row in rows]
            panel.plot(xs, [row[3] * s for row, s in zip(rows, scale)], "o-", color=COLOURS[0], label="measured")
            panel.plot(xs, [limit * s for limit, s in zip(limits, scale)], "--", color=COLOURS[4], label="limit")
        others = {"width": "batch 100, 3 hidden layers", "batch": "width 64, 3 hidden layers"}
        caption(panels[0, column], f"over {axis}; {others.get(axis, 'width 64, batch 100')}")
        panels[1, column].set_xlabel(axis if axis != "depth" else "hidden layers")
    samples, seconds = zip(*found["epochs"])
    limit = [n / 100 * least(64, 100, 3, found["rates"]) for n in samples]
    for panel, divide in ((panels[0, 3], False), (panels[1, 3], True)):
        scale = [1e6 / (n if divide else 1) for n in samples]
        panel.plot(samples, [a * s for a, s in zip(seconds, scale)], "o-", color=COLOURS[0], label="measured")
        panel.plot(samples, [a * s for a, s in zip(limit, scale)], "--", color=COLOURS[4], label="limit")
    caption(panels[0, 3], "an epoch of fit; width 64, batch 100")
    panels[1, 3].set_xlabel("samples in an epoch")
    panels[0, 0].set_ylabel("microseconds a step")
    panels[0, 3].set_ylabel("microseconds an epoch")
    panels[1, 0].set_ylabel("microseconds a sample")
    panels[0, 0].legend(frameon=False, fontsize=9)
    for panel in panels.flat:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(numticks=5))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        logarithmic(panel)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", action="store_true", help="only draw the numbers of the last time")
    parser.add_argument("--json", default=str(HERE / "results" / "scaling.json"))
    parser.add_argument("--picture", default=str(HERE.parent / "figures" / "scaling.png"))
    options = parser.parse_args()
    if not options.drawn:
        Path(options.json).write_text(json.dumps(measured(), indent=1) + "\n")
    picture = drawn(json.loads(Path(options.json).read_text()))
    picture.savefig(options.picture, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
