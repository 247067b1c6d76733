"""What MLX leaves behind in a thread that ends, and has to be cleared away by the thread itself."""

from __future__ import annotations

import threading

import mlx.core as mx


class Farewell:
    """Kept in a ``threading.local``, it goes when the thread ends, and with it MLX's streams of that thread.

    MLX (0.32) lets a stream live on while some array remembers it, and a process that ends with such a stream left
    over aborts: "terminate called without an active exception".
    """

    def __init__(self) -> None:
        self.main = threading.current_thread() is threading.main_thread()
        self.thread = threading.get_ident()

    def __del__(self) -> None:
        if not self.main and threading.get_ident() == self.thread:
            mx.synchronize()
            mx.clear_streams()
