"""Everything in double precision for the time of a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import is_floating
from ..core.module import Module
from ..core.untouched import untouched
from .precise import precise


@contextmanager
def in_double_precision(*modules: Module) -> Iterator[None]:
    """Cast every cell to float64, on the CPU; afterwards the modules and the random state are as before.

    MLX's default device is the process's: on a GPU, what other threads start in the meantime may run on the CPU, too,
    and then agrees to rounding only.
    """
    inside = [inner for module in modules for inner in module.modules()]
    plain = [(inner, dict(vars(inner))) for inner in inside]  # such as a loss's count of the predictions it looked at
    with mx.stream(mx.cpu), precise(), untouched(*modules):
        try:
            for module in modules:
                for cell in (*module.parameters(), *module.buffers()):
                    if is_floating(cell.value):
                        cell.value = cell.value.astype(mx.float64)
            yield
        finally:
            for inner, before in plain:
                vars(inner).clear()
                vars(inner).update(before)


def double(x: Any) -> Any:
    """As float64, from NumPy without a detour through float32; integers stay integers, plain numbers themselves."""
    if isinstance(x, (int, float)):
        return x
    array = np.array(x) if not hasattr(x, "detach") else x.detach().numpy()
    if array.dtype.kind == "f":
        return mx.array(array.astype(np.float64), dtype=mx.float64)
    return mx.array(array.astype(np.int32) if array.dtype.kind in "iu" else array)
