"""What does a custom module cost, whose backward comes from recorded calls? Per training step, beside Sequential.

python benchmarks/custom_module.py        # compiled and eager, for two sizes of network; half a minute

The same layers in a Sequential, a Graph and a module that composes them in ``forward``. The models take turns, a few
steps each, in a new order every time, so that whatever else the machine does hits all of them; of many turns the
fastest are compared.
"""

import argparse
import random
import time

import mlx.core as mx

import miniframe as mf
from miniframe.bench.sides import side
from miniframe.training.step import Step

STEPS = 5  # in a turn


class Custom(mf.Module):
    """Composes layers and has no backward."""

    def __init__(self, layers: list[mf.Module]) -> None:
        self.layers = layers

    def forward(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return x


def layers(width: int) -> list[mf.Module]:
    mf.seed(0)
    return [mf.Linear(2, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(), mf.Linear(width, width), mf.ReLU(),
            mf.Linear(width, 2)]  # fmt: skip


def graph(inner: list[mf.Module]) -> mf.Graph:
    x = node = mf.Input((2,))
    for layer in inner:
        node = layer(node)
    return mf.Graph(x, node)


def compare(width: int, batch: int, compile: bool, turns: int) -> dict[str, float]:
    """Milliseconds per step, by kind of model."""
    kinds = {"Sequential": lambda inner: mf.Sequential(*inner), "Graph": graph, "custom module": Custom}
    points, labels = mf.datasets.disk(batch, seed=0)
    target = mf.one_hot(labels, 2)
    steps = {}
    for name, make in kinds.items():
        model = make(layers(width))
        steps[name] = Step(model, mf.MSELoss(), mf.SGD(model, lr=0.01, momentum=0.9), compile=compile)
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps.items())
    for turn in range(turns + 3):
        random.shuffle(order)
        for name, step in order:
            start = time.perf_counter()
            for _ in range(STEPS):
                value, _ = step(points, target)
            mx.eval(value, [cell.value for cell in step.cells])
            if turn >= 3:
                times[name].append((time.perf_counter() - start) / STEPS * 1000)
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100)
    turns = parser.parse_args().turns
    print(f"all computed on {side('mlx')}")
    print(f"{'network':<31}{'step':<10}{'Sequential':>12}{'Graph':>20}{'custom module':>22}")
    for width, batch in ((25, 100), (256, 256)):
        for compile in (True, False):
            ms = compare(width, batch, compile, turns)
            base = ms["Sequential"]
            cells = [f"{ms[name]:.3f} ms ({ms[name] / base - 1:+.1%})" for name in ("Graph", "custom module")]
            size = f"2-{width}-{width}-{width}-2, {batch} points"
            print(f"{size:<31}{'compiled' if compile else 'eager':<10}{base:>9.3f} ms{cells[0]:>20}{cells[1]:>22}")


if __name__ == "__main__":
    main()
