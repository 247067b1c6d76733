"""Lessons 9, 11 and 12: optimizers, numbers that overflow, many machines."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from .exercise import Namespace, Wrong, exercise
from .judge import found, same


@exercise(
    "9.1",
    "A step with momentum",
    '''
    v ← momentum · v + g,    w ← w - lr · v

Return the new (w, v); do not change the arrays you were given.
"""


def momentum_step(w, g, v, lr, momentum):
    raise NotImplementedError("your turn")
''',
)
def momentum_step(names: Namespace) -> None:
    w, g, v = mx.array([1.0, 2.0]), mx.array([0.5, -1.0]), mx.array([1.0, 1.0])
    result = found(names, "momentum_step")(w, g, v, 0.1, 0.9)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return two arrays, (w, v), in this order.")
    new_w, new_v = (np.array(part) for part in result)
    if w.tolist() != [1.0, 2.0] or v.tolist() != [1.0, 1.0]:
        raise Wrong("You changed the caller's arrays: -= and += work in place on MLX arrays. Make new ones.")
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


@exercise(
    "9.2",
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
)
def adam_step(names: Namespace) -> None:
    step = found(names, "adam_step")
    seen = _adam_steps(step)
    first, last = seen[0], seen[-1]
    if abs(first - 0.1) > 1e-3:
        if abs(first - 0.31623) < 1e-3:
            raise Wrong(
                "The first step is too long by the factor (1 - β1) / √(1 - β2): the bias correction is missing."
            )
        if abs(first - 0.1 * 10 * 0.0316228) < 1e-3 or abs(first - 3.1623) < 1e-2:
            raise Wrong("Only one of the two moments is corrected for its bias.")
        if abs(first + 0.1) < 1e-3:
            raise Wrong("w went uphill.")
        raise Wrong(
            f"The first step of Adam has length lr, whatever the gradient's size: here 0.1. Yours is {first:.4g}."
        )
    if abs(last - 0.0642856) < 1e-5:
        return
    if abs(last - _stuck(step)) < 1e-9:
        raise Wrong("Later steps are wrong: β to the power of t, with the t of *this* step.")
    raise Wrong(
        f"The first step is right, the fifth is not (its length is {last:.4g}). Does the bias correction use t? "
        "Are the uncorrected m and v returned? Is v an average of g², not of g?"
    )


def _adam_steps(step: Any) -> list[float]:
    """The lengths of five steps from gradients 4, 2, -1, 3, 0.5."""
    w, m, v = mx.array([1.0]), mx.array([0.0]), mx.array([0.0])
    lengths = []
    for t, g in enumerate((4.0, 2.0, -1.0, 3.0, 0.5), start=1):
        before = w.item()
        result = step(w, mx.array([g]), m, v, t)
        if not isinstance(result, tuple) or len(result) != 3:
            raise Wrong("Return three arrays, (w, m, v), in this order.")
        w, m, v = result
        lengths.append(before - w.item())
    return lengths


def _stuck(step: Any) -> float:
    """The length of the fifth step when t stays 1."""
    return _adam_steps(lambda w, g, m, v, t: step(w, g, m, v, 1))[-1]


@exercise(
    "9.3",
    "A cosine schedule",
    '''
The learning rate of step 0, 1, ..., steps: it starts at lr, ends at 0, and follows half a cosine in between.
"""

import math


def cosine(step, steps, lr):
    raise NotImplementedError("your turn")
''',
)
def cosine(names: Namespace) -> None:
    function = found(names, "cosine")
    values = [float(function(step, 100, 0.2)) for step in (0, 25, 50, 75, 100)]
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


@exercise(
    "11.1",
    "log Σ exp without overflow",
    '''
    y = log Σ exp(x)

for one array x, right also for entries such as 1000 or -1000. Do not use mx.logsumexp.
"""

import mlx.core as mx


def log_sum_exp(x):
    raise NotImplementedError("your turn")
''',
)
def log_sum_exp(names: Namespace) -> None:
    function = found(names, "log_sum_exp")
    values = {name: float(np.array(function(mx.array(x)))) for name, x in _SUMS.items()}
    if not abs(values["small"] - 1.31326) < 1e-4:
        raise Wrong(f"For [0, 1] the result is log(1 + e) = 1.31326; yours is {values['small']:.6g}.")
    if not math.isfinite(values["large"]):
        raise Wrong(
            f"For [1000, 1000] you get {values['large']}: exp(1000) does not fit. What can be taken out of the sum?"
        )
    if not math.isfinite(values["low"]):
        raise Wrong(f"For [-1000, -1000] you get {values['low']}: every exp is 0, and so is their sum.")
    if abs(values["large"] - 1000.6931) > 1e-2 or abs(values["low"] + 999.3069) > 1e-2:
        raise Wrong("No overflow any more, but what was taken out of the sum has to be put back.")
    if abs(values["mixed"] - 1000.0) > 1e-2:
        raise Wrong(f"For [-1000, 1000] you get {values['mixed']}: what you take out should be the largest entry.")


_SUMS = {"small": [0.0, 1.0], "large": [1000.0, 1000.0], "low": [-1000.0, -1000.0], "mixed": [-1000.0, 1000.0]}


@exercise(
    "12.1",
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
    result = np.array(found(names, "combine")(grads, sizes))
    if [g.tolist() for g in grads] != [[1.0, 2.0], [4.0, -1.0], [0.0, 1.0]]:
        raise Wrong("You changed the workers' arrays: += works in place on MLX arrays.")
    if same(result, [5.0, 2.0]):
        raise Wrong("That is the sum. Three workers would take steps three times as long.")
    if same(result, [5 / 3, 2 / 3]):
        raise Wrong("Every worker counts the same. But every *sample* should: a worker with more samples weighs more.")
    if same(result, [17.0, 9.0]):
        raise Wrong("Weighted by the samples, but not divided: it is a mean over all of them.")
    if not same(result, [1.7, 0.9]):
        raise Wrong(f"From gradients [1, 2], [4, -1], [0, 1] of 5, 3 and 2 samples you get {result.tolist()}.")
