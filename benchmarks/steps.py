"""Training steps over widths, batches and depths, beside PyTorch and JAX: who takes how long for the same step?

python benchmarks/steps.py                                  # all rows; some minutes
python benchmarks/steps.py --rows 8:10:3 1024:256:2 --rounds 15
python benchmarks/steps.py --json benchmarks/results/steps.json

A row is hidden width : batch : hidden layers. The network has 32 inputs, ReLU between its layers and 10 outputs; the
loss is the mean squared error, the update SGD with momentum. The systems take turns, each for a fraction of a second,
forwards and backwards, so that a slow moment of the machine hits all; a ratio is that of neighbouring turns, and the
table has the medians.
"""

import own_kernels  # noqa: F401  isort: skip

import argparse
import json
import statistics
import time

from miniframe.bench.turns import REST

ROWS = ("8:10:3", "25:100:3", "64:100:3", "32:32:16", "64:1000:3", "64:10000:2", "1024:32:2", "1024:256:2",
        "1024:1024:2", "2048:256:2")  # fmt: skip
INPUTS, OUTPUTS, LR, MOMENTUM = 32, 10, 0.01, 0.9
TURN = 0.25  # seconds, about


def sizes(row: str) -> tuple[list[int], int]:
    """The layers' sizes and the batch of a row."""
    width, batch, depth = map(int, row.split(":"))
    return [INPUTS, *[width] * depth, OUTPUTS], batch


def batch_of(row: str):
    import numpy as np

    widths, batch = sizes(row)
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, widths[0])).astype("f"), rng.normal(size=(batch, widths[-1])).astype("f")


# -------------------------------------------------------------------- the systems: (steps) -> seconds for each


def network(row: str):
    """The row's network in miniframe."""
    import miniframe as mf

    widths, _ = sizes(row)
    model = mf.Sequential()
    for k, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        if k:
            model.append(mf.ReLU())
        model.append(mf.Linear(inputs, outputs))
    return model


def step_of(row: str):
    """The row's training step as ``fit`` takes it, and its batch."""
    import mlx.core as mx

    import miniframe as mf
    from miniframe.training.chosen_step import chosen_step

    model = network(row)
    x, y = map(mx.array, batch_of(row))
    optimizer = mf.SGD(model, lr=LR, momentum=MOMENTUM)
    return chosen_step(model, mf.MSELoss(), optimizer, True, False, x=x), x, y


def ours(row: str):
    import mlx.core as mx

    step, x, y = step_of(row)

    def run(count: int) -> float:
        start = time.perf_counter()
        with step.threads():
            for _ in range(count):
                step(x, y)
            mx.eval([cell.value for cell in step.cells])
        return (time.perf_counter() - start) / count

    return run


def pytorch(row: str):
    import torch
    from torch import nn

    widths, _ = sizes(row)
    layers = []
    for k, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers += ([nn.ReLU()] if k else []) + [nn.Linear(inputs, outputs)]
    model, loss = nn.Sequential(*layers), nn.MSELoss()
    x, y = map(torch.tensor, batch_of(row))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        return (time.perf_counter() - start) / count

    return run


def jax(row: str):
    import jax
    import jax.numpy as jnp
    import numpy as np

    widths, _ = sizes(row)
    rng = np.random.default_rng(1)
    weights = [
        (jnp.array(rng.uniform(-1, 1, (i, o)).astype("f") / i**0.5), jnp.zeros(o)) for i, o in zip(widths, widths[1:])
    ]
    velocities = jax.tree.map(jnp.zeros_like, weights)
    x, y = map(jnp.array, batch_of(row))

    def loss(weights, x, y):
        for k, (w, b) in enumerate(weights):
            x = (jnp.maximum(x, 0) if k else x) @ w + b
        return ((x - y) ** 2).mean()

    @jax.jit
    def step(weights, velocities, x, y):
        value, grads = jax.value_and_grad(loss)(weights, x, y)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, grads)
        return jax.tree.map(lambda w, v: w - LR * v, weights, velocities), velocities, value

    state = [weights, velocities]

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            *state[:], _ = step(*state, x, y)
        jax.block_until_ready(state)
        return (time.perf_counter() - start) / count

    return run


SYSTEMS = {"miniframe": ours, "PyTorch": pytorch, "JAX": jax}


# -------------------------------------------------------------------- the table


def measure(row: str, rounds: int) -> dict[str, list[float]]:
    """Seconds for a step, by system, one for each round."""
    runs, missing = {}, {}
    for name, system in SYSTEMS.items():
        try:
            runs[name] = system(row)
            runs[name](3)
        except ImportError as error:
            missing[name] = str(error)
    counts = {name: max(1, int(TURN / run(3))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in list(runs) if turn % 2 == 0 else reversed(runs):
            time.sleep(REST)
            times[name].append(runs[name](counts[name]))
    return times


def ratio(times: dict[str, list[float]], rival: str) -> float:
    """The median over rounds of the rival's time over ours."""
    if rival not in times:
        return float("nan")
    return statistics.median(b / a for a, b in zip(times["miniframe"], times[rival]))


def asked(words: str | None, rounds: int) -> argparse.Namespace:
    """What was asked for on the command line: rows, rounds and a file for the numbers."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main() -> None:
    options = asked(__doc__, 9)
    from miniframe.backend import info
    from miniframe.bench.sides import sides

    computed_on = sides(("mlx", "torch", "jax"))
    for package, words in computed_on.items():
        print(f"{package} computes on {words}", flush=True)
    machine = info()
    print(f"{machine['device']}; {machine['BLAS']}; allocator: {machine['allocator']}")
    print(f"{'width:batch:depth':18}  {'ours, µs':>9}  {'PyTorch / ours':>14}  {'JAX / ours':>10}", flush=True)
    found = {}
    for row in options.rows:
        found[row] = times = measure(row, options.rounds)
        own = 1e6 * statistics.median(times["miniframe"])
        print(f"{row:18}  {own:9.0f}  {ratio(times, 'PyTorch'):14.2f}  {ratio(times, 'JAX'):10.2f}", flush=True)
    if options.json:
        rows = {
            row: {
                "seconds": times,
                "ratio": {name: ratio(times, name) for name in ("PyTorch", "JAX")},
            }
            for row, times in found.items()
        }
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "computed on": computed_on, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
