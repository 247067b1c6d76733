"""Lessons 17 to 19: a gradient back through time, through attention, and through a draw."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from .calls import as_array, as_number, call
from .exercise import Namespace, Wrong, exercise
from .judge import generator, same

Array = np.ndarray


def _several(result: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The gradients that a function returns, one for each name."""
    if not isinstance(result, (tuple, list)) or len(result) != len(names):
        raise Wrong(f"Return {len(names)} gradients: {', '.join(names)}.")
    return tuple(result)


@exercise(
    "17.1",
    "Backpropagation through time",
    '''
A recurrent network of one number, from h = 0:

    h[t] = tanh(w x[t] + u h[t - 1]),        t = 0, 1, ..., and the result is the last h

Return (dw, du): how the last h changes with w and with u. All steps share both, so every step adds its part. ``xs`` is
a list of numbers.
"""

import math


def through_time(w, u, xs):
    raise NotImplementedError("your turn")
''',
    forbidden=("RNN",),
)
def through_time(names: Namespace) -> None:
    rng = generator()
    for w, u, length in ((0.7, 0.9, 1), (0.5, -0.8, 4), (-1.1, 1.2, 7)):
        xs = rng.normal(size=length).tolist()
        found = _several(call(names, "through_time", w, u, list(xs)), ("dw", "du"))
        dw, du = as_number(found[0]), as_number(found[1])
        right = _through_time(w, u, xs)
        if same([dw, du], right, 1e-6):
            continue
        told = f"For {length} steps you say dw = {dw:.4g}, du = {du:.4g}. "
        if same([dw, du], _through_time(w, u, xs, steps=1), 1e-6):
            raise Wrong(told + "That is the part of the last step alone: the earlier ones have used w and u, too.")
        if same([dw, du], _through_time(w, u, xs, across=1.0), 1e-6):
            raise Wrong(told + "On its way to the step before, the gradient is multiplied by u.")
        if same([dw, du], _through_time(w, u, xs, own=True), 1e-6):
            raise Wrong(told + "What u multiplies in step t is the h of the step before, not that of step t.")
        if same([dw, du], _through_time(w, u, xs, bent=False), 1e-6):
            raise Wrong(told + "The derivative of tanh, 1 - h², is missing in every step.")
        raise Wrong(told + "Go through the steps from the last one, with one gradient for h, and add up dw and du.")


def _through_time(
    w: float,
    u: float,
    xs: list[float],
    steps: int = 99,
    across: float | None = None,
    own: bool = False,
    bent: bool = True,
) -> list[float]:
    """(dw, du), right or with one of the usual mistakes."""
    hs = [0.0]
    for x in xs:
        hs.append(float(np.tanh(w * x + u * hs[-1])))
    dw, du, grad = 0.0, 0.0, 1.0
    for t in range(len(xs), max(0, len(xs) - steps), -1):
        grad *= 1 - hs[t] ** 2 if bent else 1.0
        dw, du = dw + grad * xs[t - 1], du + grad * hs[t if own else t - 1]
        grad *= u if across is None else across
    return [dw, du]


@exercise(
    "18.1",
    "Write this backward: attention",
    '''
One head, one text; query, key and value are (T, D), grad_output is (T, D):

    weights = softmax(query key.T / sqrt(D)) along the last axis,        output = weights value

Return (grad_query, grad_key, grad_value). There is no mask.
"""

import math

import mlx.core as mx


def attention_backward(query, key, value, grad_output):
    weights = mx.softmax(query @ key.T / math.sqrt(query.shape[1]), axis=-1)
    raise NotImplementedError("your turn")
''',
    forbidden=("ScaledDotProductAttention", "scaled_dot_product_attention", "MultiHeadAttention"),
)
def attention_backward(names: Namespace) -> None:
    rng = generator()
    for places, features in ((3, 2), (5, 4), (1, 3)):
        q, k, v, g = (rng.normal(size=(places, features)) for _ in range(4))
        given = [mx.array(a.astype(np.float32)) for a in (q, k, v, g)]
        result = _several(call(names, "attention_backward", *given), ("grad_query", "grad_key", "grad_value"))
        dq, dk, dv = (as_array(a, (places, features)) for a in result)
        right = _attention(q, k, v, g)
        if not same(dv, right[2], 1e-4):
            hint = "dV = weightsᵀ dY: what was looked at gets what the lookers got, in their shares."
            raise Wrong("grad_value is wrong. " + hint)
        if same(dq, right[0], 1e-4) and same(dk, right[1], 1e-4):
            continue
        slips: list[tuple[dict[str, bool], str]] = [
            ({"scaled": False}, "The factor 1/√D of the forward stands in the backward, too."),
            ({"through_softmax": False}, "The derivative of the softmax is missing: weights (g - Σ g weights)."),
            ({"whole": False}, "The softmax moves all weights of a row: the term with Σ g weights is missing."),
        ]
        for options, words in slips:
            slip = _attention(q, k, v, g, **options)
            if same(dq, slip[0], 1e-4) and same(dk, slip[1], 1e-4):
                raise Wrong(words)
        if same(dq, right[1], 1e-4) and same(dk, right[0], 1e-4):
            raise Wrong("grad_query and grad_key are swapped.")
        name = "grad_key" if same(dq, right[0], 1e-4) else "grad_query"
        raise Wrong(f"{name} is wrong. From the scores S = Q Kᵀ / √D: dQ = dS K / √D and dK = dSᵀ Q / √D.")


def _attention(
    q: Array, k: Array, v: Array, g: Array, scaled: bool = True, through_softmax: bool = True, whole: bool = True
) -> tuple[Array, Array, Array]:
    """(dq, dk, dv), right or with one of the usual mistakes."""
    scale = 1 / np.sqrt(q.shape[1])
    scores = q @ k.T * scale
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    grad = g @ v.T
    if through_softmax:
        grad = weights * (grad - (grad * weights).sum(axis=1, keepdims=True) * whole)
    grad = grad * (scale if scaled else 1.0)
    return grad @ k, grad.T @ q, weights.T @ g


@exercise(
    "19.1",
    "Write this backward: a draw",
    '''
A draw from a normal distribution, written so that a gradient can pass:

    z = mean + exp(log_variance / 2) noise

``noise`` was drawn by forward and is kept. Return (grad_mean, grad_log_variance).
"""

import mlx.core as mx


def draw_backward(mean, log_variance, noise, grad_output):
    raise NotImplementedError("your turn")
''',
    forbidden=("GaussianSample", "gaussian_sample"),
)
def draw_backward(names: Namespace) -> None:
    rng = generator()
    for shape in ((4, 3), (1, 5)):
        mean, log_variance, noise, grad = (rng.normal(size=shape) for _ in range(4))
        given = [mx.array(a.astype(np.float32)) for a in (mean, log_variance, noise, grad)]
        result = _several(call(names, "draw_backward", *given), ("grad_mean", "grad_log_variance"))
        found, other = (as_array(a, shape) for a in result)
        deviation = np.exp(log_variance / 2)
        if not same(found, grad, 1e-4):
            raise Wrong("grad_mean is wrong. z moves as far as the mean does.")
        for wrong, words in (
            (grad * noise * deviation, "Half of it: the variance's logarithm is divided by 2 inside the exponential."),
            (grad * deviation / 2, "The noise is what the deviation multiplies: it stands in the derivative."),
            (grad * noise / 2, "The exponential is its own derivative: its value stands there, too."),
            (grad * noise * np.exp(log_variance) / 2, "That is the variance; the deviation is exp(log_variance / 2)."),
        ):
            if same(other, wrong, 1e-4):
                raise Wrong(words)
        if not same(other, grad * noise * deviation / 2, 1e-4):
            raise Wrong("grad_log_variance is wrong. Differentiate exp(log_variance / 2) noise by log_variance.")
