"""Answers that are functions: call one, and look at what it returns and at what it did to its arguments."""

from __future__ import annotations

import copy
from typing import Any

import mlx.core as mx
import numpy as np

from .exercise import Namespace, Wrong

Array = np.ndarray


def found(names: Namespace, name: str) -> Any:
    """What the learner's file calls ``name``."""
    if names.get(name) is None:
        raise Wrong(f"Your file has no {name}. Keep the name that the stub uses.")
    return names[name]


def call(names: Namespace, name: str, *given: Any) -> Any:
    """The result of the learner's function, which must return something and leave its arguments as they were."""
    function = found(names, name)
    before = [_numbers(argument) for argument in given]
    result = function(*given)
    if result is None:
        raise Wrong(f"{name} returned None. Is a `return` missing?")
    for argument, numbers in zip(given, before):
        if not _equal(_numbers(argument), numbers):
            raise Wrong(
                f"{name} changed the caller's arrays: += and -= work in place on MLX arrays. Write a = a + b, which "
                "makes a new one."
            )
    return result


def _numbers(argument: Any) -> Any:
    """A copy that shows later whether the argument has changed."""
    if isinstance(argument, (list, tuple)):
        return [_numbers(part) for part in argument]
    if isinstance(argument, (mx.array, np.ndarray)):
        return np.array(argument)
    return copy.copy(argument) if isinstance(argument, (int, float)) else None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b)


def as_array(result: Any, shape: tuple[int, ...] | None = None, what: str = "The result") -> Array:
    """A returned array of MLX or NumPy (or a list of numbers) as float64, in words where it is none."""
    try:
        array = np.array(result, dtype=np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"{what} should be an array, not {_described(result)}.") from None
    if shape is not None and array.shape != shape:
        raise Wrong(f"{what} should have shape {shape}, got {array.shape}.")
    return array


def as_number(result: Any, what: str = "the result") -> float:
    """A returned number, also one in an array without axes or of a single element."""
    if isinstance(result, (mx.array, np.ndarray)) and result.size != 1:
        raise Wrong(f"Expected one number, got an array of shape {result.shape}. What is left to do with it?")
    try:
        single: Any = result.item() if isinstance(result, (mx.array, np.ndarray)) else result
        return float(single)
    except (TypeError, ValueError):
        raise Wrong(f"{what[0].upper()}{what[1:]} should be a number, not {_described(result)}.") from None


def as_tuple_of(count: int, result: Any, words: str) -> tuple[Any, ...]:
    """Several results, in a tuple or a list."""
    if not isinstance(result, (tuple, list)) or len(result) != count:
        raise Wrong(f"Return {words}, in this order; you returned {_described(result)}.")
    return tuple(result)


def _described(result: Any) -> str:
    if isinstance(result, (mx.array, np.ndarray)):
        return f"an array of shape {result.shape}"
    if isinstance(result, (tuple, list)):
        return f"a {type(result).__name__} of {len(result)}"
    return "None" if result is None else type(result).__name__


def finite(array: Array, what: str) -> Array:
    """The array, if it holds numbers only."""
    if not np.isfinite(array).all():
        bad = "NaN (not a number)" if np.isnan(array).any() else "infinity"
        raise Wrong(f"{what} contains {bad}: a division by 0, a logarithm of 0, or an exp that overflows?")
    return array
