"""From what the user has (NumPy, lists, PyTorch tensors, numbers) to the MLX arrays that miniframe computes with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import numpy as np

SMALL = 2**16  # numbers in an array up to which starting an operation of MLX takes longer than the work


def as_array(data: Any, where: str = "as_array") -> mx.array:
    """``data`` as an MLX array: real numbers become float32 (float64 of an MLX array stays), integers int32.

    Args:
        data: an mx.array (returned as it is), a NumPy array, a number, a nested list, or a PyTorch tensor.
        where: the name that errors begin with.

    Raises:
        TypeError, ValueError: for what is no array of numbers, or holds numbers that do not fit into 32 bits.

    >>> as_array([[1, 2], [3, 4]]).dtype, as_array(0.5).dtype
    (mlx.core.int32, mlx.core.float32)
    """
    if isinstance(data, mx.array):
        return data
    if hasattr(data, "detach"):  # a PyTorch tensor, without importing PyTorch
        data = data.detach().cpu().numpy()
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{where}: expected an array or a rectangular list, got a ragged one") from error
    kind = array.dtype.kind
    if kind in "fiu":
        return mx.array(_in_32_bits(array, np.float32 if kind == "f" else np.int32, where).reshape(array.shape))
    if kind == "b":
        return mx.array(array)
    raise TypeError(f"{where}: expected numbers, got {type(data).__name__} of dtype {array.dtype}")


def _in_32_bits(array: np.ndarray, dtype: type, where: str) -> np.ndarray:
    """The same numbers in 32 bits.

    Raises:
        ValueError: for one that does not fit: whole numbers would wrap around, real ones become infinite.
    """
    with np.errstate(over="ignore"):
        narrow: np.ndarray = np.ascontiguousarray(array, dtype=dtype)
    if array.dtype.itemsize > 4 or array.dtype.kind == "u":
        lost = (narrow != array) if dtype is np.int32 else (np.isinf(narrow) & ~np.isinf(array))
        if lost.any():
            at = tuple(np.argwhere(lost.reshape(array.shape))[0].tolist())
            place = f" at {at}" if array.ndim else ""
            raise ValueError(f"{where}: expected numbers that fit into 32 bits, got {array[at]}{place}")
    return narrow


def as_tuple(x: Any) -> tuple[Any, ...]:
    """Several inputs, outputs or gradients as they are, a single one as a tuple of one."""
    return x if isinstance(x, tuple) else (x,)


def is_floating(array: mx.array) -> bool:
    """Whether the array holds real numbers (of any precision)."""
    return mx.issubdtype(array.dtype, mx.floating)


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


def number(x: Any) -> float:
    """The one number that an array holds (waiting for it if need be), or the number itself, as a Python float."""
    value: Any = x.item() if isinstance(x, mx.array) else x
    return float(value)


def one_hot(labels: Any, num_classes: int) -> mx.array:
    """Rows of the identity matrix: label k becomes a 1 in column k. (N,) integers -> (N, num_classes) float32.

    >>> one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = as_array(labels, where="one_hot")
    if is_floating(labels):
        raise TypeError(f"one_hot: expected integer labels, got {str(labels.dtype).split('.')[-1]}")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"one_hot: expected labels in 0..{num_classes - 1}, got {int(labels.min())}..{int(labels.max())}"
        )
    return (labels[..., None] == mx.arange(num_classes)).astype(mx.float32)
