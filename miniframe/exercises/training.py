"""Lessons 11, 20 and 21: optimizers, numbers that overflow, many machines."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from .calls import as_array, as_number, as_tuple_of, call, finite
from .exercise import Namespace, Wrong, exercise
from .judge import found, normal, same


@exercise(
    "11.1",
    "A step with momentum",
    '''
    v ← momentum · v + g,    w ← w - lr · v

Return the new (w, v); do not change the arrays you were given.
"""


def momentum_step(w, g, v, lr, momentum):
    raise NotImplementedError("your turn")
''',
    forbidden=("SGD",),
)
def momentum_step(names: Namespace) -> None:
    w, g, v = mx.array([1.0, 2.0]), mx.array([0.5, -1.0]), mx.array([1.0, 1.0])
    result = as_tuple_of(2, call(names, "momentum_step", w, g, v, 0.1, 0.9), "two arrays, (w, v)")
    new_w, new_v = (finite(as_array(part), "The result") for part in result)
    if same(new_v, [0.86, 2.01]) and same(new_w, [1.4, -0.1]):
        raise Wrong("The two results are swapped: return (w, v), in this order.")
    if same(new_v, [1.4, -0.1]) and same(new_w, [0.9, 1.9]):
        raise Wrong("v is right, but w moved along the old v. The new one counts.")
    if same(new_v, [0.95, 0.8]):
        raise Wrong("That is an average, with (1 - momentum) on the gradient: another convention than the one asked.")
    if same(new_w, [1.14, 1.99]):
        raise Wrong("w went uphill.")
    if same(new_v, [0.5, -1.0]):
        raise Wrong("The old velocity is forgotten: that is plain gradient descent.")
    if not same(new_v, [1.4, -0.1]) or not same(new_w, [0.86, 2.01]):
        raise Wrong(f"From w=[1, 2], g=[0.5, -1], v=[1, 1] you get w={new_w.tolist()}, v={new_v.tolist()}.")
    for shape, lr, momentum in (((3, 2), 0.5, 0.0), ((1,), 0.01, 0.99), ((2, 2, 2), 1.0, 0.5)):
        a, b, c = (normal(*shape, seed=seed).astype(np.float32) for seed in (1, 2, 3))
        given = (mx.array(a), mx.array(b), mx.array(c))
        result = as_tuple_of(2, call(names, "momentum_step", *given, lr, momentum), "two arrays, (w, v)")
        right = momentum * c + b
        if not same(as_array(result[1]), right, 1e-4) or not same(as_array(result[0]), a - lr * right, 1e-4):
            raise Wrong(f"Right for lr = 0.1 and momentum 0.9, but not for {lr} and {momentum}, shape {shape}.")


@exercise(
    "11.2",
    "A step of Adam",
    '''
    m ← β1 m + (1 - β1) g,    v ← β2 v + (1 - β2) g²
    w ← w - lr · m̂ / (√v̂ + ε),    m̂ and v̂: m and v with their bias from starting at 0 removed

t counts the steps from 1. Return the new (w, m, v).
"""

import mlx.core as mx


def adam_step(w, g, m, v, t, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    raise NotImplementedError("your turn")
''',
    points=2,
    forbidden=("Adam", "AdamW"),
)
def adam_step(names: Namespace) -> None:
    def step(*given: Any, **options: Any) -> Any:
        return as_tuple_of(3, call({"adam_step": _keeping(options)}, "adam_step", *given), "three arrays, (w, m, v)")

    def _keeping(options: Any) -> Any:
        function = found(names, "adam_step")
        return lambda *given: function(*given, **options)

    seen = _adam_steps(step, (4.0, 2.0, -1.0, 3.0, 0.5))
    first, last = seen[0], seen[-1]
    if not abs(first - 0.1) <= 1e-3:
        _judge_first(first)
    if not abs(last - 0.0642856) < 1e-5:
        stuck = _adam_steps(lambda w, g, m, v, t: step(w, g, m, v, 1), (4.0, 2.0, -1.0, 3.0, 0.5))[-1]
        if abs(last - stuck) < 1e-9:
            raise Wrong("Later steps are wrong: β to the power of t, with the t of *this* step.")
        raise Wrong(
            f"The first step is right, the fifth is not (its length is {last:.4g}). Does the bias correction use t? "
            "Are the uncorrected m and v returned? Is v an average of g², not of g?"
        )
    (tiny,) = _adam_steps(step, (1e-4,))
    if not abs(tiny - 0.1 / (1 + 1e-4)) < 1e-4:
        raise Wrong(
            f"For a gradient of 0.0001 the first step should be almost lr = 0.1; yours is {tiny:.4g}. Is ε inside the "
            "root? It is added to the root."
        )
    options = {"lr": 0.02, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}
    for t in (1, 2, 7):
        w, g, m, v = (normal(3, 2, seed=seed).astype(np.float32) for seed in (1, 2, 3, 4))
        result = step(*(mx.array(part) for part in (w, g, m, v * v)), t, **options)
        new_m, new_v = 0.5 * m + 0.5 * g, 0.9 * v * v + 0.1 * g * g
        new_w = w - 0.02 * new_m / (1 - 0.5**t) / (np.sqrt(new_v / (1 - 0.9**t)) + 1e-3)
        if not all(same(as_array(a), b, 1e-4) for a, b in zip(result, (new_w, new_m, new_v))):
            raise Wrong("Right for the usual lr, β1, β2 and ε, but not for others. Does the formula use all of them?")


def _judge_first(first: float) -> None:
    if abs(first - 0.31623) < 1e-3:
        raise Wrong("The first step is too long by the factor (1 - β1) / √(1 - β2): the bias correction is missing.")
    if abs(first - 0.1 * 10 * 0.0316228) < 1e-3 or abs(first - 3.1623) < 1e-2 or abs(first - 0.01) < 1e-4:
        raise Wrong("Only one of the two moments is corrected for its bias.")
    if abs(first + 0.1) < 1e-3:
        raise Wrong("w went uphill.")
    raise Wrong(f"The first step of Adam has length lr, whatever the gradient's size: here 0.1. Yours is {first:.4g}.")


def _adam_steps(step: Any, gradients: tuple[float, ...]) -> list[float]:
    """The lengths of the steps from these gradients."""
    w, m, v = mx.array([1.0]), mx.array([0.0]), mx.array([0.0])
    lengths = []
    for t, g in enumerate(gradients, start=1):
        before = as_number(w)
        w, m, v = step(w, mx.array([g]), m, v, t)
        lengths.append(before - as_number(w, "the new w"))
    return lengths


@exercise(
    "11.3",
    "A cosine schedule",
    '''
The learning rate of step 0, 1, ..., steps: it starts at lr, ends at 0, and follows half a cosine in between.
"""

import math


def cosine(step, steps, lr):
    raise NotImplementedError("your turn")
''',
    forbidden=("schedules", "cosine_decay"),
)
def cosine(names: Namespace) -> None:
    values = [as_number(call(names, "cosine", step, 100, 0.2)) for step in (0, 25, 50, 75, 100)]
    if abs(values[0] - 0.4) < 1e-6:
        raise Wrong("It starts at twice lr. What values does 1 + cos take?")
    if min(values) < -1e-9:
        raise Wrong(f"A rate must not become negative; yours is {min(values):.3g} at some step. Lift the cosine.")
    if abs(values[0] - 0.2) > 1e-6:
        raise Wrong(f"At step 0 the rate should be lr = 0.2; yours is {values[0]:.4g}.")
    if abs(values[4]) > 1e-6:
        raise Wrong(f"At the last step the rate should be 0; yours is {values[4]:.4g}. Half a period: from 0 to pi.")
    if abs(values[1] - 0.15) < 1e-6:
        raise Wrong("That is a straight line; a cosine is flat at both ends.")
    if abs(values[1] - 0.2 * math.cos(math.pi / 8)) < 1e-6:
        raise Wrong("That is a quarter of a period: steep at the end. Half a period is flat at both ends.")
    if abs(values[2] - 0.1) > 1e-6 or abs(values[1] - 0.170711) > 1e-5:
        raise Wrong(f"Half way the rate should be lr/2; your values at 0, 25, 50, 75, 100 are {np.round(values, 4)}.")
    for step, steps, lr in ((0, 1, 1.0), (1, 1, 1.0), (3, 7, 0.05), (90, 1000, 3.0)):
        value, right = as_number(call(names, "cosine", step, steps, lr)), lr * math.cos(math.pi * step / steps / 2) ** 2
        if not abs(value - right) < 1e-5 * lr:
            raise Wrong(
                f"Right for 100 steps and lr = 0.2, but at step {step} of {steps} with lr = {lr} you say {value:.4g}."
            )


@exercise(
    "20.1",
    "log Σ exp without overflow",
    '''
    y = log Σ exp(x)

for one array x, right also for entries such as 1000 or -1000. Do not use mx.logsumexp.
"""

import mlx.core as mx


def log_sum_exp(x):
    raise NotImplementedError("your turn")
''',
    forbidden=("logsumexp", "logaddexp", "logcumsumexp", "softmax", "log_softmax"),
)
def log_sum_exp(names: Namespace) -> None:
    def value_of(entries: Any) -> float:
        return as_number(call(names, "log_sum_exp", mx.array(np.array(entries, dtype=np.float32))))

    small, large, low = value_of([0.0, 1.0]), value_of([1000.0, 1000.0]), value_of([-1000.0, -1000.0])
    if not abs(small - 1.31326) < 1e-4:
        raise Wrong(f"For [0, 1] the result is log(1 + e) = 1.31326; yours is {small:.6g}.")
    if not math.isfinite(large):
        raise Wrong(f"For [1000, 1000] you get {large}: exp(1000) does not fit. What can be taken out of the sum?")
    if not math.isfinite(low):
        raise Wrong(f"For [-1000, -1000] you get {low}: every exp is 0, and so is their sum.")
    if abs(large - math.log(2)) < 1e-3 or abs(low - math.log(2)) < 1e-3:
        raise Wrong("No overflow any more, but what was taken out of the sum has to be put back.")
    if abs(large - 1000.6931) > 1e-2 or abs(low + 999.3069) > 1e-2:
        told = f"For [1000, 1000] you get {large:.6g}, for [-1000, -1000] {low:.6g}: "
        raise Wrong(told + "finite, but another sum. Entries that are cut off (clip, maximum) are other entries.")
    mixed = value_of([-1000.0, 1000.0])
    if not abs(mixed - 1000.0) < 1e-2:
        raise Wrong(f"For [-1000, 1000] you get {mixed}: what you take out should be the largest entry.")
    for entries in (
        [3.0],
        [0.0] * 4,
        5 * normal(50),
        300 * normal(9),
        [1000.0, 0.0, -1000.0, 999.0],
        [-2.0, -3.0, -4.0],
    ):
        value, top = value_of(entries), float(np.max(entries))
        right = top + math.log(np.exp(np.array(entries) - top).sum())
        if not abs(value - right) < 1e-4 * max(1.0, abs(right)):
            raise Wrong(
                f"Right for two entries, but for {len(entries)} of them you get {value:.6g} instead of {right:.6g}."
            )


@exercise(
    "21.1",
    "One gradient from several workers",
    '''
Each worker has computed the gradient of the *mean* loss over its own samples. Return the gradient of the mean loss over
all samples. The workers do not all have the same number of samples.
"""


def combine(gradients, sizes):
    """A list of arrays, and how many samples stand behind each -> one array."""
    raise NotImplementedError("your turn")
''',
)
def combine(names: Namespace) -> None:
    grads = [mx.array([1.0, 2.0]), mx.array([4.0, -1.0]), mx.array([0.0, 1.0])]
    sizes = [5, 3, 2]
    result = as_array(call(names, "combine", grads, sizes))
    if same(result, [5.0, 2.0]):
        raise Wrong("That is the sum. Three workers would take steps three times as long.")
    if same(result, [5 / 3, 2 / 3]):
        raise Wrong("Every worker counts the same. But every *sample* should: a worker with more samples weighs more.")
    if same(result, [17.0, 9.0]):
        raise Wrong("Weighted by the samples, but not divided: it is a mean over all of them.")
    if not same(result, [1.7, 0.9]):
        raise Wrong(f"From gradients [1, 2], [4, -1], [0, 1] of 5, 3 and 2 samples you get {result.tolist()}.")
    for shape, sizes in (((3, 2), [1, 9]), ((1,), [4]), ((2, 2), [2, 2, 2, 1])):
        parts = [normal(*shape, seed=seed).astype(np.float32) for seed in range(len(sizes))]
        right = sum(n * part for n, part in zip(sizes, parts)) / sum(sizes)
        if not same(as_array(call(names, "combine", [mx.array(part) for part in parts], sizes)), right, 1e-4):
            raise Wrong(
                f"Right for three workers, but not for {len(sizes)} with {sizes} samples, arrays of shape {shape}."
            )
