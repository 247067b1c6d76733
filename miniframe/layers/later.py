"""Computing something later, or once more, than MLX would by itself, so that less is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple
from ..core.cells import Parameter
from .transformable import transforming


def after(arrays: Sequence[mx.array], reason: Sequence[mx.array]) -> list[mx.array]:
    """The same arrays, but not before ``reason`` is computed.

    What is made of them is then made anew, where a compiled step would see that forward has made the same, and keep it.
    ``mx.vmap`` cannot carry this; where it is used, nobody saves memory.

    >>> after([mx.array(1.0)], [mx.array(2.0)])[0].item()
    1.0
    """
    if transforming():
        return list(arrays)
    found: Any = mx.depends(list(arrays), list(reason))
    return list(found)


def after_weights(passed: Any, weights: Iterable[Parameter]) -> Any:
    """What a backward passes on, one gradient or several, but not before those of these weights are computed.

    >>> weight = Parameter(mx.array([1.0]))
    >>> weight.accumulate(mx.array([2.0]))
    >>> after_weights((mx.array([3.0]), None), [weight])
    (array([3], dtype=float32), None)
    """
    grads = [weight.grad for weight in weights if weight.grad is not None]
    arrays = [part for part in as_tuple(passed) if isinstance(part, mx.array)]
    if not grads or not arrays:
        return passed
    later = iter(after(arrays, grads))
    parts = tuple(next(later) if isinstance(part, mx.array) else part for part in as_tuple(passed))
    return parts if isinstance(passed, tuple) else parts[0]
