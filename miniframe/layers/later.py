"""Computing something later, or once more, than MLX would by itself, so that less is in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

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
