"""What miniframe computes with: the device, MLX, and the BLAS behind matrix products."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

import mlx.core as mx

from ..version import __version__
from . import fast_blas, kept_memory


def prepare() -> None:
    """Called once on import: the fast BLAS, the keeping of memory, and independent operations side by side.

    MLX starts operations breadth first, so that several streams have work, until a number of them wait: by default 20,
    less than one layer of each part of a batch in parts. MLX reads it at its first evaluation.
    """
    os.environ.setdefault("MLX_BFS_MAX_WIDTH", "100")
    fast_blas.install()
    kept_memory.install()


def device() -> str:
    """The default device in words.

    >>> device().split(":")[0] in ("CPU", "GPU")
    True
    """
    if mx.default_device() == mx.Device(mx.cpu):
        return f"CPU: {_processor()}"
    return f"GPU: {mx.device_info().get('device_name', 'unnamed')}"


def blas() -> str:
    """Which BLAS matrix products on the CPU use."""
    if sys.platform == "darwin":
        return "Accelerate (part of macOS)"
    return fast_blas.status()


def info() -> dict[str, str]:
    """Versions and hardware, as ``miniframe info`` prints them."""
    return {
        "miniframe": __version__,
        "MLX": metadata.version("mlx"),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device(),
        "BLAS": blas(),
        "freed memory": kept_memory.status(),
        "NumPy": metadata.version("numpy"),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
