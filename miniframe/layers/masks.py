"""Masks: bools that say which places of a sequence are real, and how sequences of many lengths become one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array


def is_mask(x: Any) -> bool:
    """Whether an array, a node, or what another framework has, holds bools; or a list of them.

    >>> is_mask(mx.array([True])), is_mask([True, False]), is_mask(mx.array([1.0]))
    (True, True, False)
    """
    return "bool" in str(x.dtype if hasattr(x, "dtype") else as_array(x, where="mask").dtype)


def pad_sequences(sequences: Sequence[Any], value: float = 0) -> tuple[mx.array, mx.array]:
    """Sequences of different lengths as one array, filled up behind their ends, and the mask that says what is real.

    Args:
        sequences: arrays or lists (T_n, ...), alike but for their lengths.
        value: what stands in the places that are left; 0 by default. In targets, the ``ignore_index`` of the loss.

    Returns:
        The sequences (N, T, ...) with T the largest length, and a mask (N, T), True where a place is real: RNN, GRU,
        LSTM, MultiHeadAttention and TransformerBlock take it as ``mask=``.

    Raises:
        ValueError: for no sequences, or sequences that differ in more than their lengths.

    >>> x, mask = pad_sequences([[1, 2, 3], [4]])
    >>> x.tolist(), mask.tolist()
    ([[1, 2, 3], [4, 0, 0]], [[True, True, True], [True, False, False]])
    """
    arrays = [as_array(sequence, where="pad_sequences") for sequence in sequences]
    if not arrays:
        raise ValueError("pad_sequences: expected at least one sequence, got none")
    kinds = {(array.shape[1:], array.dtype) for array in arrays if array.ndim}
    if len(kinds) != 1 or not all(array.ndim for array in arrays):
        shapes = ", ".join(f"{array.shape} of {array.dtype}" for array in arrays[:4])
        raise ValueError(f"pad_sequences: expected sequences that differ in their lengths only, got {shapes}")
    lengths = [array.shape[0] for array in arrays]
    longest = max(lengths)
    rows = [
        mx.concatenate([array, mx.full((longest - array.shape[0], *array.shape[1:]), value, array.dtype)])
        for array in arrays
    ]
    return mx.stack(rows), mx.arange(longest) < mx.array(lengths)[:, None]
