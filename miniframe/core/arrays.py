"""From what the user has (NumPy, lists, PyTorch tensors, numbers) to the MLX arrays that miniframe computes with."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np


def as_array(data: Any, where: str = "as_array") -> mx.array:
    """``data`` as an MLX array: real numbers become float32 (float64 of an MLX array stays), integers int32.

    Args:
        data: an mx.array (returned as it is), a NumPy array, a number, a nested list, or a PyTorch tensor.
        where: the name that errors begin with.

    Raises:
        TypeError: for what holds no numbers.
        ValueError: for a ragged list, an integer beyond int32, or a finite number beyond float32.

    >>> as_array([[1, 2], [3, 4]]).dtype, as_array(0.5).dtype
    (mlx.core.int32, mlx.core.float32)
    """
    if isinstance(data, mx.array):
        return data
    if hasattr(data, "detach"):  # a PyTorch tensor, without importing PyTorch
        data = data.detach().cpu()
        data = (data.float() if str(data.dtype) == "torch.bfloat16" else data).numpy()  # NumPy has no bfloat16
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{where}: expected an array or a rectangular list, got a ragged one") from error
    kind = array.dtype.kind
    if kind == "O" and array.size and all(isinstance(item, int) for item in array.flat):
        kind = "i"  # Python's integers have no end
    if kind in "fiu":
        return mx.array(_in_32_bits(array, np.float32 if kind == "f" else np.int32, where).reshape(array.shape))
    if kind == "b":
        return mx.array(np.ascontiguousarray(array).reshape(array.shape))
    hint = {"U": "; words become class numbers with np.unique(y, return_inverse=True)", "O": "; try astype(float)"}
    got = f"{type(data).__name__} of dtype {array.dtype}" + (hint.get(kind, "") if array.ndim else "")
    raise TypeError(f"{where}: expected numbers, got {got}")


def _in_32_bits(array: np.ndarray, dtype: type, where: str) -> np.ndarray:
    """The same numbers in 32 bits.

    Raises:
        ValueError: for one that does not fit: whole numbers would wrap around, real ones become infinite.
    """
    if array.dtype == dtype or array.dtype.itemsize < 4:
        return np.ascontiguousarray(array, dtype=dtype)
    if dtype is np.int32:
        lost = (array < -(2**31)) | (array >= 2**31)
    else:
        with np.errstate(over="ignore"):
            lost = np.isinf(array.astype(np.float32)) & np.isfinite(array)
    if np.any(lost):
        at = np.argwhere(lost)[0].tolist()
        place = f" at {at}" if array.ndim else ""
        raise ValueError(f"{where}: expected numbers that fit into {np.dtype(dtype)}, got {array[tuple(at)]}{place}")
    return np.ascontiguousarray(array, dtype=dtype)


def as_tuple(x: Any) -> tuple[Any, ...]:
    """Several inputs, outputs or gradients as they are, a single one as a tuple of one."""
    return x if isinstance(x, tuple) else (x,)


def is_floating(array: mx.array) -> bool:
    """Whether the array holds real numbers (of any precision)."""
    return mx.issubdtype(array.dtype, mx.floating)


def number(x: Any) -> float:
    """The one number that an array holds (waiting for it if need be), or the number itself, as a Python float."""
    value: Any = x.item() if isinstance(x, mx.array) else x
    return float(value)
