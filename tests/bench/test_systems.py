"""The systems of the comparison do the same work."""

import inspect

import mlx.core as mx
import numpy as np
import pytest
import torch

from miniframe.bench.runner import workloads
from miniframe.bench.systems import SYSTEMS, Workload

RNG = np.random.default_rng(0)
SIZES = (3, 8, 8, 2)
X, Y = RNG.normal(size=(30, 3)).astype(np.float32), RNG.normal(size=(30, 2)).astype(np.float32)
WORK = Workload("small", "all samples in one batch, so that no order matters", SIZES, X, Y, batch=30)
START = [
    array
    for inputs, outputs in WORK.layers
    for array in (RNG.normal(size=(outputs, inputs)).astype(np.float32) / 2, np.zeros(outputs, np.float32))
]
EPOCHS = 5
COMPARED = ["miniframe fit", "miniframe fit, compile=False", "MLX step by hand, compiled", "mlx.nn",
            "mlx.nn, compiled", "PyTorch"]  # fmt: skip


def inside(function):
    """The variables that a function has kept from where it was made."""
    return inspect.getclosurevars(function).nonlocals


def cells(trainer):
    """What a trainer learns: a pair of functions for each array, to read it and to write it."""
    kept = inside(trainer)
    if "model" in kept:
        for parameter in kept["model"].parameters():
            yield (lambda p=parameter: np.array(p.value)), (lambda a, p=parameter: setattr(p, "value", mx.array(a)))
        return
    kept = inside(kept["epoch"])
    if "forward" in kept:
        for parameter in kept["forward"].parameters():
            yield (
                (lambda p=parameter: p.detach().numpy().copy()),
                (lambda a, p=parameter: setattr(p, "data", torch.tensor(a))),
            )
        return
    state = kept["state"]
    if isinstance(state[0], list):
        for index in range(len(state[0])):
            yield (lambda k=index: np.array(state[0][k])), (lambda a, k=index: state[0].__setitem__(k, mx.array(a)))
        return
    for layer in state[0]["layers"]:
        for name in ("weight", "bias") if "weight" in layer else ():
            yield (
                (lambda d=layer, n=name: np.array(d[n])),
                (lambda a, d=layer, n=name: d.__setitem__(n, mx.array(a))),
            )


def learned(name):
    trainer = SYSTEMS[name][0](WORK)
    found = list(cells(trainer))
    assert [read().shape for read, _ in found] == [array.shape for array in START]
    for (_, write), array in zip(found, START):
        write(array)
    trainer(EPOCHS - 1 if name.startswith("miniframe") else EPOCHS)  # fit adds an epoch, which is not timed
    return [read() for read, _ in found]


def by_numpy():
    """The same training, in float64."""
    weights = [array.astype(np.float64) for array in START]
    velocities = [np.zeros_like(array) for array in weights]
    for _ in range(EPOCHS):
        inputs, h = [], WORK.x
        for k in range(3):
            inputs.append(h)
            h = h @ weights[2 * k].T + weights[2 * k + 1]
            h = np.maximum(h, 0) if k < 2 else h
        grad = 2 * (h - WORK.y) / h.size
        grads = [None] * 6
        for k in (2, 1, 0):
            grads[2 * k], grads[2 * k + 1] = grad.T @ inputs[k], grad.sum(axis=0)
            grad = (grad @ weights[2 * k]) * (inputs[k] > 0)
        velocities = [0.9 * v + g for v, g in zip(velocities, grads)]
        weights = [w - 0.05 * v for w, v in zip(weights, velocities)]
    return weights


@pytest.mark.parametrize("name", COMPARED)
def test_the_systems_of_the_comparison_learn_the_same_thing(name):
    for found, expected, start in zip(learned(name), by_numpy(), START, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found - start).max() > 1e-2


def test_a_trainer_returns_milliseconds():
    work = workloads()["disk-1k"]
    for name in ("miniframe fit, compile=False", "mlx.nn", "PyTorch"):
        assert SYSTEMS[name][0](work)(1) > 0
