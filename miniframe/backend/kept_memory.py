"""Keeping the memory of freed arrays for the next ones, on Linux CPUs.

MLX returns every array on the CPU to the C library, which returns large ones to the system. The system then hands out
fresh pages, clears them, and maps them one by one, which for arrays of some megabytes takes longer than the arithmetic
on them: convolutions of VGG16 run twice as fast without it. MLX's GPU back ends keep freed memory for the same reason.

The price: the process stays as large as it once was. ``MINIFRAME_KEEP_MEMORY=0`` in the environment switches it off.
Only glibc can be asked; anywhere else nothing changes.
"""

from __future__ import annotations

import ctypes
import os
import sys

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
    _status = "kept for the next ones" if kept else _status
    return kept
