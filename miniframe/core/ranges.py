"""Whether numbers lie in a range, asked where somebody can see them; while a function is compiled, nobody can."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np


def readable(array: mx.array) -> np.ndarray | None:
    """The array's numbers (waiting for them), or None while a function is compiled or vectorized and has none."""
    try:
        return np.asarray(array if array.dtype != mx.bfloat16 else array.astype(mx.float32))
    except ValueError:
        return None


def first_outside(array: Any, low: Any, high: Any) -> str:
    """The first number that is not in low..high, and its place; empty where all are inside. Waits for the array.

    >>> first_outside(np.array([[0, 1], [7, 9]]), 0, 4), first_outside(np.array([0, 1]), 0, 4)
    ('7 at [1, 0]', '')
    """
    values = np.asarray(array)
    if not values.size or low <= values.min() and values.max() <= high:
        return ""
    places = np.argwhere(~((values >= low) & (values <= high)))
    place = tuple(places[0].tolist())
    return f"{values[place]}" + (f" at {list(place)}" if place else "")


def missing(dtype: mx.Dtype) -> float | int:
    """What stands where there is nothing: NaN or, of whole numbers, one for which no table has a row."""
    if mx.issubdtype(dtype, mx.floating):
        return math.nan
    return False if dtype == mx.bool_ else int(mx.iinfo(dtype).min or mx.iinfo(dtype).max)


def wide(labels: mx.array) -> mx.array:
    """Class numbers of at least 32 bits, so that each class and each number to ignore has its own."""
    return labels if labels.dtype.size > 2 else labels.astype(mx.int32)


def of_class(x: mx.array, labels: mx.array, where: str) -> mx.array:
    """For every label the number that x (..., classes) has for this class; MLX alone would read any memory.

    Raises:
        ValueError: for a label that is no class. Where it cannot be seen, the number is NaN.

    >>> of_class(mx.array([[0.25, 0.75], [0.5, 0.5]]), mx.array([1, 0]), "example").tolist()
    [0.75, 0.5]
    """
    last, numbers = x.shape[-1] - 1, readable(labels)
    if numbers is not None and (bad := first_outside(numbers, 0, last)):
        raise ValueError(f"{where}: expected class labels in 0..{last}, got {bad}")
    labels = wide(labels)
    inside = mx.clip(labels, 0, last)
    found = mx.take_along_axis(x, inside[..., None].astype(mx.int32), axis=-1)[..., 0]
    return found if numbers is not None else mx.where(inside == labels, found, math.nan)


def of_signs(labels: np.ndarray) -> str:
    """What to do with labels that are -1 and 1, as the end of an error about them; empty for others.

    >>> of_signs(np.array([1, -1])), of_signs(np.array([0, 2]))
    ('; use (y + 1) // 2', '')
    """
    return "; use (y + 1) // 2" if (np.abs(labels) == 1).all() else ""
