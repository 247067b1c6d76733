"""Whether all numbers are finite, asked of many arrays at once and as cheaply as can be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import numpy as np

from .arrays import is_floating, number

SMALL = 2**16  # numbers in an array up to which starting an operation of MLX takes longer than the work


def all_finite(arrays: Iterable[Any]) -> bool:
    """Whether there is no NaN and no infinity in any of the arrays; what is no array of real numbers counts as finite.

    >>> all_finite([mx.array([1.0, 2.0]), None, mx.array([3])]), all_finite([mx.array(float("nan"))])
    (True, False)
    """
    sums = []
    for array in arrays:
        if isinstance(array, mx.array) and is_floating(array):
            if array.size <= SMALL and array.dtype != mx.bfloat16:  # NumPy looks at the same memory
                if not np.isfinite(np.asarray(array)).all():
                    return False
            else:
                sums.append((array, array.sum()))
    mx.eval([total for _, total in sums])  # one wait for all: a NaN or infinity shows in its sum
    return all(math.isfinite(number(total)) or mx.isfinite(array).all().item() for array, total in sums)
