"""What copy and pickle have to be told about MLX: a type of numbers is known by its name."""

from __future__ import annotations

import copyreg

import mlx.core as mx


def dtype_named(name: str) -> mx.Dtype:
    """``dtype_named("float32")`` is ``mx.float32``."""
    dtype: mx.Dtype = getattr(mx, name)
    return dtype


copyreg.pickle(mx.Dtype, lambda dtype: (dtype_named, (str(dtype).split(".")[-1],)))  # type: ignore[arg-type]
