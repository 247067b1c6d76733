"""Whether this thread computes for ``mx.vmap`` or an export, which not every operation can be carried through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Transformable(threading.local):
    """Whether this thread runs under ``mx.vmap`` or exports, neither of which MLX's strided views support."""

    on = False


_transformable = _Transformable()


@contextmanager
def transformable() -> Iterator[None]:
    """``with transformable():`` keeps to operations that ``mx.vmap`` and ``mx.export_function`` can handle."""
    before, _transformable.on = _transformable.on, True
    try:
        yield
    finally:
        _transformable.on = before


def transforming() -> bool:
    """Whether this thread is inside of ``transformable``."""
    return _transformable.on
