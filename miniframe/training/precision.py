"""Mixed precision: forward and backward in bfloat16, while the weights that learn stay float32.

A bfloat16 has the range of a float32, 8 bits of mantissa, half the bytes. A small update would vanish beside a weight
of 8 bits, so the optimizer changes float32 "master" weights, and every step computes with copies of them. As the range
is that of float32, losses need no scaling. Micikevicius et al. 2018; Kalamkar et al. 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple, is_floating
from ..core.cells import put_values, values_of
from ..core.module import Module

PRECISIONS = {"float32": mx.float32, "bfloat16": mx.bfloat16}


@contextmanager
def lowered(model: Module, dtype: mx.Dtype) -> Iterator[None]:
    """Inside, the float32 parameters of a model hold their values in ``dtype``; afterwards, gradients are float32, too.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 3)
    >>> with lowered(layer, mx.bfloat16):
    ...     inside = layer.weight.dtype
    >>> inside, layer.weight.dtype
    (mlx.core.bfloat16, mlx.core.float32)
    """
    masters = [p for p in model.parameters() if p.dtype == mx.float32]
    values = values_of(masters)
    put_values(masters, [value.astype(dtype) for value in values])
    try:
        yield
    finally:
        put_values(masters, values)
        for parameter in masters:
            if parameter.grad is not None:
                parameter.grad = parameter.grad.astype(mx.float32)


def as_precise(x: Any, dtype: mx.Dtype) -> Any:
    """Real numbers in this type; whole ones as they are; several arrays each by itself."""
    found = tuple(part.astype(dtype) if is_floating(part) else part for part in as_tuple(x))
    return found if isinstance(x, tuple) else found[0]
