"""Where the time of a training step goes, row by row of steps.py, and where it goes in PyTorch and in JAX.

python benchmarks/profiles.py                                  # all rows; some minutes
python benchmarks/profiles.py --rows 8:10:3 1024:32:2 --json benchmarks/results/profiles.json

Every system measures, in the same run, in microseconds:

- step: the whole step, as steps.py has it;
- empty: the step of a network as deep, one unit wide, on one sample. It computes next to nothing, so this is what
  it costs to start the step's operations;
- products: the step's matrix products alone, all of them started at once, and the rate that they reach;
- update: SGD with momentum alone, on gradients that are there, and the rate at which it moves bytes;

Of ours also: how many operations MLX starts for a step, and what the thread that starts them computes meanwhile. What
is left of the step beside products and update are activations, sums, the loss, and the cost of the operations.
"""

from __future__ import annotations

import own_kernels  # noqa: F401  isort: skip

import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from steps import LR, MOMENTUM, SYSTEMS, TURN, asked, network, sizes, step_of

from miniframe.bench.turns import REST

Run = Callable[[int], float]  # (how often) -> seconds for each


def repeated(work: Callable[[], object]) -> Run:
    """Work that waits for its own end, as often as asked."""

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            work()
        return (time.perf_counter() - start) / count

    return run


def factors(row: str) -> list[tuple[int, int, int, bool]]:
    """(inputs, outputs, samples, whether a gradient passes on) of each layer."""
    widths, batch = sizes(row)
    return [(i, o, batch, k > 0) for k, (i, o) in enumerate(zip(widths, widths[1:]))]


def operations(row: str) -> int:
    """Multiplications and additions of the row's products."""
    return sum(2 * i * o * n * (3 if passes else 2) for i, o, n, passes in factors(row))


def updated_bytes(row: str) -> int:
    """What an update moves: weight, velocity and gradient read, weight and velocity written."""
    return sum(5 * 4 * (i * o + o) for i, o, _, _ in factors(row))


def arrays(row: str):
    """Random inputs, weights and gradients of outputs of each layer, as NumPy arrays."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = [((n, i), (o, i), (n, o)) for i, o, n, _ in factors(row)]
    return [[rng.normal(size=shape).astype("f") for shape in three] for three in shapes]


def products(given, transpose) -> list:
    """Y = X Wᵀ, dW = dYᵀ X and, but for the first layer, dX = dY W."""
    found = []
    for k, (x, weight, dy) in enumerate(given):
        found += [x @ transpose(weight), transpose(dy) @ x, *([dy @ weight] if k else [])]
    return found


# -------------------------------------------------------------------- the parts of a step in each system


def ours(row: str) -> dict[str, Run]:
    import mlx.core as mx

    import miniframe as mf
    from miniframe.core.cells import put_values, values_of

    given = [[mx.array(a) for a in three] for three in arrays(row)]
    model = network(row)
    optimizer = mf.SGD(model, lr=LR, momentum=MOMENTUM)
    optimizer.fit_state()
    cells = [*model.parameters(), *optimizer.cells()]
    grads = [mx.random.normal(p.shape) for p in model.parameters()]
    mx.eval(grads)

    @mx.compile
    def update(values, grads):
        put_values(cells, values)
        for parameter, grad in zip(model.parameters(), grads):
            parameter.grad = grad
        optimizer.apply()
        return values_of(cells)

    state = [values_of(cells)]

    def one_update() -> None:
        state[0] = update(state[0], grads)
        mx.eval(state)

    return {
        "products": repeated(lambda: mx.eval(products(given, mx.transpose))),
        "update": repeated(one_update),
    }


def pytorch(row: str) -> dict[str, Run]:
    import torch

    given = [[torch.tensor(a) for a in three] for three in arrays(row)]
    weights = [torch.nn.Parameter(torch.randn(shape)) for i, o, _, _ in factors(row) for shape in ((o, i), (o,))]
    for weight in weights:
        weight.grad = torch.randn(weight.shape)
    optimizer = torch.optim.SGD(weights, lr=LR, momentum=MOMENTUM)
    return {"products": repeated(lambda: products(given, torch.t)), "update": repeated(optimizer.step)}


def jax(row: str) -> dict[str, Run]:
    import jax
    import jax.numpy as jnp

    given = [[jnp.array(a) for a in three] for three in arrays(row)]
    multiply = jax.jit(lambda given: products(given, jnp.transpose))
    weights = [jnp.ones(shape) for i, o, _, _ in factors(row) for shape in ((i, o), (o,))]

    @jax.jit
    def update(weights, velocities, grads):
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, grads)
        return jax.tree.map(lambda w, v: w - LR * v, weights, velocities), velocities

    state = [weights, weights]

    def one_update() -> None:
        state[:] = update(*state, weights)
        jax.block_until_ready(state)

    return {"products": repeated(lambda: jax.block_until_ready(multiply(given))), "update": repeated(one_update)}


PARTS = {"miniframe": ours, "PyTorch": pytorch, "JAX": jax}


def started(row: str) -> tuple[int, float]:
    """How many operations MLX starts for a step of ours, and the seconds that the thread which does it computes."""
    import mlx.core as mx

    from miniframe.core.cells import values_of

    step, x, y = step_of(row)
    with step.threads():
        step(x, y)
        assert step._compiled is not None
        new_values, value, *_ = step._compiled(values_of(step.cells), x, y)
        with tempfile.NamedTemporaryFile(suffix=".dot") as file:
            mx.export_to_dot(file.name, [*new_values, value])
            count = len(re.findall("shape=rectangle", Path(file.name).read_text()))
        mx.eval(new_values)
        before = time.thread_time()
        for _ in range(steps := 200):
            step(x, y)
        computing = (time.thread_time() - before) / steps
        mx.eval([cell.value for cell in step.cells])
    return count, computing


# -------------------------------------------------------------------- the table


def profile(row: str, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds of each part, by system: the median of rounds in which all of them have a turn."""
    depth = row.rpartition(":")[2]
    runs: dict[str, dict[str, Run]] = {}
    for name, parts in PARTS.items():
        try:
            runs[name] = {"step": SYSTEMS[name](row), "empty": SYSTEMS[name](f"1:1:{depth}"), **parts(row)}
        except ImportError as error:
            print(f"without {name}: {error}")
    counts = {(name, part): count_of(run) for name, parts in runs.items() for part, run in parts.items()}
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in counts}
    for turn in range(rounds):
        for name in list(runs) if turn % 2 else reversed(runs):
            time.sleep(REST)
            for part, run in runs[name].items():
                seconds[name, part].append(run(counts[name, part]))
    found = {
        name: {part: 1e6 * statistics.median(seconds[name, part]) for part in parts} for name, parts in runs.items()
    }
    for parts in found.values():
        parts["operations a second"] = operations(row) / parts["products"] * 1e6
        parts["bytes a second"] = updated_bytes(row) / parts["update"] * 1e6
    number, computing = started(row)
    found["miniframe"] |= {"operations": number, "starting": 1e6 * computing}
    return found


def count_of(run: Run) -> int:
    """How often a turn repeats it."""
    run(3)
    return max(1, int(TURN / 2 / run(3)))


def main() -> None:
    options = asked(__doc__, 7)
    from miniframe.backend import info
    from miniframe.bench.sides import sides

    computed_on = sides(("mlx", "torch", "jax"))
    for package, words in computed_on.items():
        print(f"{package} computes on {words}", flush=True)
    print(f"{'µs':12} {'':10} {'step':>8} {'empty':>7} {'products':>9} {'(Gop/s)':>8} {'update':>8} {'(GB/s)':>7}")
    found = {}
    for row in options.rows:
        found[row] = profile(row, options.rounds)
        for name, parts in found[row].items():
            rates = parts["operations a second"] / 1e9, parts["bytes a second"] / 1e9
            print(
                f"{row:12} {name:10} {parts['step']:8.0f} {parts['empty']:7.0f} {parts['products']:9.0f} "
                f"{rates[0]:8.0f} {parts['update']:8.0f} {rates[1]:7.1f}"
            )
        own = found[row]["miniframe"]
        print(f"{'':23} {own['operations']} operations, started in {own['starting']:.0f} µs", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": info(), "computed on": computed_on, "microseconds": found}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
