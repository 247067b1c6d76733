"""Finite differences, thousands at a time: one model, and all its perturbed weights in a few vectorized calls."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

STEP = 4e-6  # h: near where the error h² of the formula equals the error 1e-16 / h of rounding
VALUE_BYTES = 3 * 2**20  # of perturbed values in one call: they are read straight after writing, from the cache
ACTIVATION_BYTES = 128 * 2**20  # the cap on what one call's forward passes may take beside the perturbed values


def slopes(
    function: Callable[[mx.array], mx.array], value: mx.array, bytes_per_call: int, step: float = STEP
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes (f(w + h) - f(w)) / h and (f(w) - f(w - h)) / h for every element w of ``value``.

    Args:
        function: from the value to f(value) - f(now), one number.
        value: float64, where the slopes are taken.
        bytes_per_call: what one call of the function needs, for the cap on memory.
        step: h.
    """
    flat = np.array(value, dtype=np.float64).reshape(-1)
    chunk = min(flat.size, VALUE_BYTES // (16 * max(flat.size, 1)), ACTIVATION_BYTES // (2 * max(bytes_per_call, 1)))
    chunk = max(chunk, 1)
    perturbed = np.tile(flat, (2 * chunk, 1))  # first the steps to the right, then those to the left
    right, left = np.zeros(flat.size), np.zeros(flat.size)
    for start in range(0, flat.size, chunk):
        chosen = np.arange(start, min(start + chunk, flat.size))
        k = len(chosen)
        upper, lower = (np.arange(k), chosen), (np.arange(k, 2 * k), chosen)
        perturbed[upper], perturbed[lower] = flat[chosen] + step, flat[chosen] - step
        h_right = perturbed[upper] - flat[chosen]  # what rounding made of the step
        h_left = flat[chosen] - perturbed[lower]
        batch = mx.array(perturbed[: 2 * k].reshape(2 * k, *value.shape), dtype=mx.float64)
        perturbed[upper] = perturbed[lower] = flat[chosen]
        changes = all_at_once(function, batch)
        right[chosen], left[chosen] = changes[:k] / h_right, -changes[k:] / h_left
    return right.reshape(value.shape), left.reshape(value.shape)


def all_at_once(function: Callable[[mx.array], mx.array], batch: mx.array) -> np.ndarray:
    """The function of every item: in one vectorized call, or one by one where MLX cannot vectorize an operation."""
    try:
        return np.array(mx.vmap(function)(batch))
    except ValueError:
        return one_by_one(function, batch)


def one_by_one(function: Callable[[mx.array], mx.array], batch: mx.array) -> np.ndarray:
    """The same, with a loop: slow, and what the vectorized call is compared with."""
    return np.array([function(item).item() for item in batch])


def at_a_kink(a: np.ndarray, right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Where the slopes on both sides differ clearly and ``a`` lies between them."""
    low, high = np.minimum(right, left), np.maximum(right, left)
    margin = 1e-6 * (abs(low) + abs(high))
    return slopes_differ(right, left) & (a >= low - margin) & (a <= high + margin)


def slopes_differ(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Where the function has a corner within h."""
    return abs(right - left) > 1e-3 * (abs(right) + abs(left)) + 1e-5
