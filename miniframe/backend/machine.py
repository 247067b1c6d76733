"""What miniframe computes with: the device, MLX, and the BLAS behind matrix products."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib import metadata

import mlx.core as mx

from ..version import __version__
from . import allocator, fast_blas, kept_memory

BACK_ENDS = ("mlx-cpu", "mlx-cuda-12", "mlx-cuda-13", "mlx-metal")
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they choose OpenBLAS's code for another processor than this
TF32 = "MLX_ENABLE_TF32"  # MLX's own switch, which it reads at its first product


def prepare() -> None:
    """Called once on import: exact products, and on a CPU the fast BLAS, kept memory, and operations side by side.

    New GPUs round the factors of float32 products to 10 bits of mantissa (TF32) unless MLX is told otherwise, and a
    gradient checked by hand would agree to three digits only. ``MLX_ENABLE_TF32=1`` in the environment wants speed.

    MLX starts operations breadth first, so that several streams have work, until a number of them wait: by default 20,
    less than one layer of each part of a batch in parts. MLX reads it at its first evaluation.
    """
    os.environ.setdefault(TF32, "0")
    fast_blas.install()  # a GPU's gradient checks compute on the CPU, too
    if on_cpu():
        os.environ.setdefault("MLX_BFS_MAX_WIDTH", "100")
        kept_memory.install()


def on_cpu() -> bool:
    """Whether arrays are computed on the CPU, where tricks for CPUs pay."""
    return bool(mx.default_device() == mx.Device(mx.cpu))


def device(which: mx.Device | None = None) -> str:
    """A device in words, by default the one that computes.

    >>> device().split(":")[0] in ("CPU", "GPU")
    True
    """
    if on_cpu() if which is None else which == mx.Device(mx.cpu):
        return f"CPU: {_processor()}"
    return f"GPU: {mx.device_info().get('device_name', 'unnamed')}"


def products() -> str:
    """How the default device multiplies float32 matrices, seen from a product.

    >>> products()
    'exact'
    """
    number = 1 + 2**-12  # has more than 10 bits of mantissa, fewer than 23
    if (mx.full((64, 64), number) @ mx.eye(64))[0, 0].item() == number:
        return "exact"
    return f"rounded to TF32, for speed ({TF32}={os.environ.get(TF32, 'unset')}; 0 makes them exact)"


def back_end() -> str:
    """Which of MLX's packages computes. On Linux they have files of the same names, so there may be only one.

    >>> "mlx" in back_end()
    True
    """
    found = sorted(name for name in BACK_ENDS if next(iter(metadata.distributions(name=name)), None))
    if len(found) > 1:
        return f"{' and '.join(found)}, installed over each other: uninstall them all, then install one"
    return found[0] if found else "part of mlx"


def blas() -> str:
    """Which BLAS matrix products on the CPU use."""
    if sys.platform == "darwin":
        return "Accelerate (part of macOS)"
    slowing = [f"{name}={os.environ[name]}" for name in SLOWING if name in os.environ]
    return "; ".join(
        [fast_blas.status(), *([f"slower than it could be, by {' and '.join(slowing)}"] if slowing else [])]
    )


def cores() -> int:
    """How many cores the system gives this process; of a Mac's only the fast ones, because equal parts of a batch would
    wait for the slow ones.

    >>> cores() > 0
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return _fast_cores() or os.cpu_count() or 1


def _fast_cores() -> int:
    """The performance cores of Apple silicon; 0 where the system does not say."""
    count, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    try:
        ctypes.CDLL(None).sysctlbyname(b"hw.perflevel0.logicalcpu", ctypes.byref(count), ctypes.byref(size), None, 0)
    except (AttributeError, OSError):
        return 0
    return count.value


def info() -> dict[str, str]:
    """Versions and hardware, as ``miniframe info`` prints them."""
    return {
        "miniframe": __version__,
        "MLX": metadata.version("mlx"),
        "back end": back_end(),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device(),
        "BLAS": blas(),
        "products": products(),
        "allocator": allocator.status(),
        "freed memory": kept_memory.status() if on_cpu() else "kept by MLX for the next ones",
        "NumPy": metadata.version("numpy"),
    }


def _processor() -> str:
    """What the processor is called. Python knows only its family ("arm"), MLX asks the system."""
    return str(mx.device_info(mx.Device(mx.cpu)).get("device_name") or platform.processor() or platform.machine())
