"""The README's figures: activations, the disk beside PyTorch, and time per epoch.

    python figures/core.py        # writes PNG files next to this script

The times are those of the last ``make bench`` (benchmarks/results/time_per_epoch.json); nothing is timed here.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch
from matplotlib.figure import Figure

import miniframe as mf
from miniframe import demo, plots
from miniframe.bench.figure import draw
from miniframe.plots import canvas

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


def disk_figure(scores: dict[str, Callable], errors: dict[str, list[float]]) -> Figure:
    """Where each model draws its border, on the points and the true circle; and its errors after every epoch."""
    figure, ((plane, curves),) = canvas.sheet(1, 2, (9.6, 4.3))
    x, labels = map(np.array, mf.datasets.disk(2000, seed=SEED))
    for label, (name, marker) in enumerate([("outside", "o"), ("inside", "s")]):
        plane.scatter(*x[labels == label].T, s=6, marker=marker, color=canvas.COLOURS[label], alpha=0.45, label=name)
    side = np.linspace(0, 1, 300)
    points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype(np.float32)
    turn = np.linspace(0, 2 * math.pi, 200)
    radius = 1 / math.sqrt(2 * math.pi)
    plane.plot(0.5 + radius * np.cos(turn), 0.5 + radius * np.sin(turn), color="#9aa3ad", lw=3, label="the true circle")
    for (name, classify), style, colour in zip(scores.items(), ("-", (0, (4, 4))), (canvas.INK, canvas.COLOURS[4])):
        inside = np.argmax(np.array(classify(points)), axis=1).reshape(300, 300)
        plane.contour(side, side, inside, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.6)
        plane.plot([], [], color=colour, linestyle=style, lw=1.6, label=f"{name}'s border")
        curves.plot(range(1, EPOCHS + 1), errors[name], color=colour, linestyle=style, lw=1.8, label=name)
    plane.set(xlabel="x₁", ylabel="x₂", aspect="equal")
    plane.legend(loc="center", fontsize=8, framealpha=0.95)
    curves.set(xlabel="epoch", ylabel="test errors (%)")
    canvas.logarithmic(curves)
    curves.legend(fontsize=9)
    canvas.caption(plane, "The same border")
    canvas.caption(curves, "The same errors, epoch for epoch: " + ", ".join(f"{e[-1]:.2f}%" for e in errors.values()))
    return figure


def main() -> None:
    figures = {"activations.png": plots.activations()}
    ours, our_errors = train_miniframe()
    theirs, their_errors = train_torch()
    scores = {
        "miniframe": lambda points: ours.predict(demo.centred(mx.array(points))),
        "PyTorch": lambda points: torch_scores(theirs, points),
    }
    figures["disk.png"] = disk_figure(scores, {"miniframe": our_errors, "PyTorch": their_errors})
    figures["time_per_epoch.png"] = draw(json.loads(TIMES.read_text())["workloads"])
    for name, figure in figures.items():
        figure.savefig(HERE / name, dpi=120)
        print(f"wrote figures/{name}")


if __name__ == "__main__":
    main()
