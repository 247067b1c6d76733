"""Keeping the memory of freed arrays for the next ones, on Linux CPUs.

On the CPU, MLX keeps 32 MB of freed arrays and returns the others to the C library, which returns large ones to the
system. The system then hands out fresh pages, clears them, and maps them one by one, which for arrays of some
megabytes takes longer than the arithmetic on them: convolutions of VGG16 run twice as fast without it. MLX's GPU back
ends keep freed memory for the same reason.

What MLX keeps itself is then of use for small arrays only, so it gets less: both together would keep the same twice.

The price: the process stays as large as it once was. ``MINIFRAME_KEEP_MEMORY=0`` in the environment switches it off.
Only glibc can be asked; anywhere else nothing changes.
"""

from __future__ import annotations

import ctypes
import os
import sys

import mlx.core as mx

SMALL = 2**22  # bytes that MLX may keep itself; without any, steps of small networks take a third longer

# parameters of mallopt, from malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1

_status = "returned to the system"


def status() -> str:
    """In words, what becomes of the memory of freed arrays."""
    return _status


def install() -> bool:
    """Ask glibc to keep freed memory; return whether it does. Never raises."""
    global _status
    if sys.platform != "linux" or os.environ.get("MINIFRAME_KEEP_MEMORY", "1") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    kept = bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _LARGEST))
    if kept:
        mx.set_cache_limit(SMALL)
        _status = "kept for the next ones"
    return kept
