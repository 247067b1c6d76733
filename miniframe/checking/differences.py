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
    every = np.arange(value.size)
    up, down = changes(function, value, bytes_per_call, every, np.full(value.size, step))
    return up.reshape(value.shape), down.reshape(value.shape)


def changes(
    function: Callable[[mx.array], mx.array], value: mx.array, bytes_per_call: int, places: np.ndarray, h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes to the right and to the left of the elements at ``places``, each with its own step.

    Where the function gives several numbers, the first is the change, and the others come back as they are.
    """
    flat = np.array(value, dtype=np.float64).reshape(-1)
    chunk = min(len(places), VALUE_BYTES // (16 * max(flat.size, 1)), ACTIVATION_BYTES // (2 * max(bytes_per_call, 1)))
    chunk = max(chunk, 1)
    perturbed = np.tile(flat, (2 * chunk, 1))  # first the steps to the right, then those to the left
    right, left = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, len(places), chunk):
        chosen, step = places[start : start + chunk], h[start : start + chunk]
        k = len(chosen)
        upper, lower = (np.arange(k), chosen), (np.arange(k, 2 * k), chosen)
        perturbed[upper], perturbed[lower] = flat[chosen] + step, flat[chosen] - step
        h_right = perturbed[upper] - flat[chosen]  # what rounding made of the step
        h_left = flat[chosen] - perturbed[lower]
        batch = mx.array(perturbed[: 2 * k].reshape(2 * k, *value.shape), dtype=mx.float64)
        perturbed[upper] = perturbed[lower] = flat[chosen]
        moved = all_at_once(function, batch)
        with np.errstate(divide="ignore", invalid="ignore"):  # a step too small for its number is no step
            if moved.ndim == 1:
                right.append(moved[:k] / h_right)
                left.append(-moved[k:] / h_left)
            else:
                right.append(np.c_[moved[:k, :1] / h_right[:, None], moved[:k, 1:]])
                left.append(np.c_[-moved[k:, :1] / h_left[:, None], moved[k:, 1:]])
    return np.concatenate(right[1:] or right), np.concatenate(left[1:] or left)


def all_at_once(function: Callable[[mx.array], mx.array], batch: mx.array) -> np.ndarray:
    """The function of every item: in one vectorized call, or one by one where MLX cannot vectorize an operation."""
    try:
        return np.array(mx.vmap(function)(batch))
    except ValueError:
        return one_by_one(function, batch)


def one_by_one(function: Callable[[mx.array], mx.array], batch: mx.array) -> np.ndarray:
    """The same, with a loop: slow, and what the vectorized call is compared with."""
    return np.array([np.array(function(item)) for item in batch])


def slopes_differ(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Where the slopes on the two sides are clearly not the same."""
    return abs(right - left) > 1e-3 * (abs(right) + abs(left))
