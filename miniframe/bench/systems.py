"""The systems that are compared. Each trains the same network on the same batches: Linear layers with ReLU between,
mean squared error, SGD with momentum.

A system is a function from a Workload to a *trainer*: ``trainer(epochs)`` trains that many epochs, waits for all
arithmetic, and returns the milliseconds per epoch. Everything is shuffled once per epoch, as in real training.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.sequential import Sequential
from ..layers import Linear, ReLU
from ..losses import MSELoss
from ..optimizers import SGD
from .epoch_times import EpochTimes
from .sides import torch_device

LR, MOMENTUM = 0.05, 0.9

Trainer = Callable[[int], float]


@dataclass
class Workload:
    """What is trained: layer sizes, the data and the batch size."""

    name: str
    title: str
    sizes: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    batch: int

    @property
    def layers(self) -> list[tuple[int, int]]:
        return list(zip(self.sizes, self.sizes[1:]))


def timed(epoch: Callable[[np.random.Generator], Any], seed: int = 0) -> Trainer:
    """A trainer from a function that runs one epoch to its very end; the median of its times."""
    rng = np.random.default_rng(seed)

    def trainer(epochs: int) -> float:
        times = []
        for _ in range(epochs):
            start = time.perf_counter()
            epoch(rng)
            times.append(time.perf_counter() - start)
        return 1000 * statistics.median(times)

    return trainer


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


# -------------------------------------------------------------------- miniframe


def miniframe_fit(work: Workload, compile: bool = True) -> Trainer:
    """``model.fit``, as a user calls it."""
    model = Sequential()
    for i, (inputs, outputs) in enumerate(work.layers):
        if i:
            model.append(ReLU())
        model.append(Linear(inputs, outputs))
    optimizer = SGD(model, lr=LR, momentum=MOMENTUM)
    x, y = mx.array(work.x), mx.array(work.y)

    def trainer(epochs: int) -> float:
        times = EpochTimes()
        model.fit(x, y, loss=MSELoss(), optimizer=optimizer, epochs=epochs + 1, batch_size=work.batch,
                  verbose=0, callbacks=[times], compile=compile)  # fmt: skip
        return times.median_ms()

    return trainer


def miniframe_eager(work: Workload) -> Trainer:
    """``model.fit(compile=False)``."""
    return miniframe_fit(work, compile=False)


def by_hand(work: Workload) -> Trainer:
    """The same step written out in MLX without any framework, compiled: what a framework could at best reach."""
    weights: list[mx.array] = []
    for inputs, outputs in work.layers:
        bound = inputs**-0.5
        weights += [mx.random.uniform(-bound, bound, (outputs, inputs)), mx.random.uniform(-bound, bound, (outputs,))]
    state: list[Any] = [weights, [mx.zeros_like(w) for w in weights]]
    x, y, rate = mx.array(work.x), mx.array(work.y), mx.array(LR)
    count = len(work.layers)

    @mx.compile
    def step(weights: list[mx.array], velocities: list[mx.array], x: mx.array, y: mx.array, rate: mx.array) -> Any:
        inputs, h = [], x
        for k in range(count):
            inputs.append(h)
            h = mx.addmm(weights[2 * k + 1], h, weights[2 * k].T)
            h = mx.maximum(h, 0) if k < count - 1 else h
        difference = h - y
        loss = mx.square(difference).mean()
        grad = difference * (2 / difference.size)
        grads: list[Any] = [None] * len(weights)
        for k in reversed(range(count)):
            grads[2 * k], grads[2 * k + 1] = grad.T @ inputs[k], grad.sum(axis=0)
            grad = (grad @ weights[2 * k]) * (inputs[k] > 0) if k else grad
        velocities = [MOMENTUM * v + g for v, g in zip(velocities, grads)]
        return [w - rate * v for w, v in zip(weights, velocities)], velocities, loss

    def epoch(rng: np.random.Generator) -> None:
        order = mx.array(rng.permutation(len(work.x)))
        xs, ys = x[order], y[order]
        for start in range(0, len(work.x), work.batch):
            rows = slice(start, start + work.batch)
            *state[:], loss = step(state[0], state[1], xs[rows], ys[rows], rate)
            mx.async_eval(state, loss)
        mx.eval(state, loss)

    return timed(epoch)


# -------------------------------------------------------------------- mlx.nn


def mlx_nn(work: Workload, compile: bool = False) -> Trainer:
    """mlx.nn and mlx.optimizers with value_and_grad, as their documentation shows it."""
    nn = importlib.import_module("mlx.nn")
    optimizers = importlib.import_module("mlx.optimizers")
    layers: list[Any] = []
    for inputs, outputs in work.layers:
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = optimizers.SGD(learning_rate=LR, momentum=MOMENTUM)
    x, y = mx.array(work.x), mx.array(work.y)
    differentiate = nn.value_and_grad(model, lambda xb, yb: nn.losses.mse_loss(model(xb), yb))

    def step(xb: mx.array, yb: mx.array) -> Any:
        loss, grads = differentiate(xb, yb)
        optimizer.update(model, grads)
        return loss

    state = [model.state, optimizer.state]
    if compile:
        optimizer.init(model.trainable_parameters())
        step = mx.compile(step, inputs=state, outputs=state)

    def epoch(rng: np.random.Generator) -> None:
        order = mx.array(rng.permutation(len(work.x)))
        xs, ys = x[order], y[order]
        for start in range(0, len(work.x), work.batch):
            loss = step(xs[start : start + work.batch], ys[start : start + work.batch])
            mx.eval(state, loss)

    return timed(epoch)


def mlx_nn_compiled(work: Workload) -> Trainer:
    """The same inside mx.compile."""
    return mlx_nn(work, compile=True)


# -------------------------------------------------------------------- PyTorch


def torch_eager(work: Workload, compile: bool = False) -> Trainer:
    """PyTorch as its tutorials show it, on a GPU where MLX uses one and PyTorch can."""
    import torch

    layers: list[Any] = []
    for inputs, outputs in work.layers:
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    loss_function = torch.nn.MSELoss()
    where = torch_device()
    model.to(where)
    x, y = torch.tensor(work.x, device=where), torch.tensor(work.y, device=where)
    forward = torch.compile(model) if compile else model

    def epoch(rng: np.random.Generator) -> None:
        order = torch.tensor(rng.permutation(len(work.x)), device=where)
        xs, ys = x[order], y[order]
        for start in range(0, len(work.x), work.batch):
            optimizer.zero_grad()
            loss = loss_function(forward(xs[start : start + work.batch]), ys[start : start + work.batch])
            loss.backward()
            optimizer.step()
        loss.item()

    return timed(epoch)


def torch_compiled(work: Workload) -> Trainer:
    """The same with torch.compile around the model."""
    return torch_eager(work, compile=True)


# -------------------------------------------------------------------- Keras and JAX


def keras_fit(work: Workload) -> Trainer:
    """Keras' ``fit`` on its JAX back end."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = importlib.import_module("keras")
    hidden = [keras.layers.Dense(outputs, activation="relu") for _, outputs in work.layers[:-1]]
    model = keras.Sequential([keras.Input((work.sizes[0],)), *hidden, keras.layers.Dense(work.sizes[-1])])
    model.compile(optimizer=keras.optimizers.SGD(LR, momentum=MOMENTUM), loss="mse")

    def trainer(epochs: int) -> float:
        ends: list[float] = []
        note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        model.fit(work.x, work.y, batch_size=work.batch, epochs=epochs + 1, verbose=0, callbacks=[note])
        return 1000 * statistics.median(after - before for before, after in zip(ends, ends[1:]))

    return trainer


def jax_jit(work: Workload) -> Trainer:
    """A step by hand in JAX: jax's automatic gradient, inside jit."""
    jax = importlib.import_module("jax")
    jnp = importlib.import_module("jax.numpy")
    rng = np.random.default_rng(0)
    weights = [
        (rng.uniform(-(i**-0.5), i**-0.5, (i, o)).astype(np.float32), np.zeros(o, np.float32)) for i, o in work.layers
    ]
    velocities = jax.tree.map(jnp.zeros_like, weights)
    state = [jax.tree.map(jnp.asarray, weights), velocities]

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        for k, (w, b) in enumerate(weights):
            x = x @ w + b
            x = jnp.maximum(x, 0) if k < len(weights) - 1 else x
        return jnp.mean((x - y) ** 2)

    @jax.jit
    def step(weights: Any, velocities: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(weights, x, y)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, grads)
        return jax.tree.map(lambda w, v: w - LR * v, weights, velocities), velocities, loss

    def epoch(rng: np.random.Generator) -> None:
        order = rng.permutation(len(work.x))
        xs, ys = work.x[order], work.y[order]
        for start in range(0, len(work.x), work.batch):
            *state[:], loss = step(*state, xs[start : start + work.batch], ys[start : start + work.batch])
        loss.block_until_ready()

    return timed(epoch)


SYSTEMS: dict[str, tuple[Callable[[Workload], Trainer], str]] = {
    "miniframe fit": (miniframe_fit, "mlx"),
    "miniframe fit, compile=False": (miniframe_eager, "mlx"),
    "MLX step by hand, compiled": (by_hand, "mlx"),
    "mlx.nn": (mlx_nn, "mlx"),
    "mlx.nn, compiled": (mlx_nn_compiled, "mlx"),
    "PyTorch": (torch_eager, "torch"),
    "PyTorch, torch.compile": (torch_compiled, "torch"),
    "Keras fit (JAX)": (keras_fit, "keras"),
    "JAX jit": (jax_jit, "jax"),
}
"""Name, function, and the package that must be installed."""
