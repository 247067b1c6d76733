"""The README's figures: activations, the disk beside PyTorch, test errors per epoch, and time per epoch.

    python figures/core.py        # writes PNG files next to this script

The times are those of the last ``make bench`` (benchmarks/results/time_per_epoch.json); nothing is timed here.
"""

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

import miniframe as mf
from miniframe import demo, plots
from miniframe.bench.figure import draw

HERE = Path(__file__).parent
TIMES = HERE.parent / "benchmarks" / "results" / "time_per_epoch.json"
POINTS, EPOCHS, SEED = 10_000, 60, 0
TEST = mf.datasets.disk(10_000, seed=SEED + 1_000_000)


def rate(step: int) -> float:
    """0.2, falling to 0 on a cosine."""
    return 0.1 * (1 + math.cos(math.pi * step / (EPOCHS * POINTS // demo.BATCH)))


def batches(epoch: int):
    """The batches of one epoch, the same for both frameworks."""
    x, labels = mf.datasets.disk(POINTS, seed=SEED)
    return list(mf.batches(demo.centred(x), mf.one_hot(labels, 2), batch_size=demo.BATCH, shuffle=True, seed=epoch))


def train_miniframe() -> tuple[mf.Sequential, list[float]]:
    """The trained model, and its test error in percent after every epoch."""
    mf.seed(SEED)
    model = demo.disk_model()
    optimizer = mf.SGD(model, lr=rate, momentum=0.9)
    errors = []
    for epoch in range(EPOCHS):
        model.fit(batches(epoch), loss="mse", optimizer=optimizer, verbose=0, compile=False)
        errors.append(100 * demo.errors(model, *TEST))
    return model, errors


def train_torch() -> tuple[torch.nn.Module, list[float]]:
    """The same in PyTorch, from the same weights, with the same batches."""
    mf.seed(SEED)
    model = torch.nn.Sequential()
    for layer in demo.disk_model():
        if isinstance(layer, mf.Linear):
            model.append(torch.nn.Linear(layer.in_features, layer.out_features))
            model[-1].weight.data = torch.tensor(np.array(layer.weight.value))
            model[-1].bias.data = torch.tensor(np.array(layer.bias.value))
        else:
            model.append(torch.nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    errors, step = [], 0
    for epoch in range(EPOCHS):
        for x, y in batches(epoch):
            optimizer.param_groups[0]["lr"] = rate(step)
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(torch.tensor(np.array(x))), torch.tensor(np.array(y))).backward()
            optimizer.step()
            step += 1
        wrong = torch_scores(model, np.array(TEST[0])).argmax(axis=1) != np.array(TEST[1])
        errors.append(100 * wrong.mean())
    return model, errors


def torch_scores(model: torch.nn.Module, points: np.ndarray) -> np.ndarray:
    """The PyTorch model's scores for points of the unit square."""
    with torch.no_grad():
        return model(torch.tensor(np.array(demo.centred(mx.array(points))))).numpy()


def main() -> None:
    figures = {"activations.png": plots.activations()}
    ours, our_errors = train_miniframe()
    theirs, their_errors = train_torch()
    models = {
        f"miniframe, {our_errors[-1]:.2f}% test errors": lambda x: ours.predict(demo.centred(mx.array(x))),
        f"PyTorch, {their_errors[-1]:.2f}% test errors": lambda x: torch_scores(theirs, np.array(x)),
    }
    figures["disk_regions.png"] = plots.decision_regions(models, *mf.datasets.disk(POINTS, seed=SEED))
    curves = {"miniframe": {"test errors (%)": our_errors}, "PyTorch": {"test errors (%)": their_errors}}
    figures["disk_errors.png"] = plots.curves(curves)
    figures["time_per_epoch.png"] = draw(json.loads(TIMES.read_text())["workloads"])
    for name, figure in figures.items():
        figure.savefig(HERE / name, dpi=120)
        print(f"wrote figures/{name}")


if __name__ == "__main__":
    main()
