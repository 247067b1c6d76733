"""On which device each side of a comparison computes, and whose code multiplies its matrices there.

A number means little without it: a GPU beside a CPU is no comparison of frameworks.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Any

import mlx.core as mx

from ..backend.machine import blas, device, on_cpu, products


def side(package: str) -> str:
    """What a package computes with, in one line.

    Args:
        package: mlx, torch, keras, jax or numpy.

    >>> side("mlx").split(":")[0] in ("CPU", "GPU")
    True
    """
    return SIDES[package]()


def sides(packages: Any) -> dict[str, str]:
    """The line of each package, in order, each once."""
    return {package: side(package) for package in dict.fromkeys(packages)}


def torch_device() -> str:
    """Where PyTorch is to compute: on a GPU if MLX does and PyTorch can, else on the CPU."""
    torch = importlib.import_module("torch")
    if on_cpu():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _mlx() -> str:
    if on_cpu():
        return f"{device()}; {blas()}"
    kernels = "Metal" if mx.metal.is_available() else "CUDA"
    return f"{device()}; MLX's {kernels} kernels, products {products()}"


def _torch() -> str:
    torch = importlib.import_module("torch")
    where = torch_device()
    if where == "cuda":
        rounded = "rounded to TF32" if torch.backends.cuda.matmul.allow_tf32 else "exact"
        return f"GPU: {torch.cuda.get_device_name()}; cuBLAS and cuDNN, products {rounded}"
    if where == "mps":
        return f"{device()}; Metal Performance Shaders"
    names = {"mkl": "MKL", "mkldnn": "oneDNN"}
    found = [name for one, name in names.items() if getattr(torch.backends, one).is_available()]
    kernels = " and ".join(found) or ("Accelerate" if sys.platform == "darwin" else "its own BLAS")
    return f"{_processor()}; {kernels}, {torch.get_num_threads()} threads"


def _jax() -> str:
    jax = importlib.import_module("jax")
    first, kernels = jax.devices()[0], f"XLA of jaxlib {metadata.version('jaxlib')}"
    if first.platform == "cpu":
        return f"{_processor()}; {kernels}"
    return f"GPU: {first.device_kind}; {kernels}"


def _keras() -> str:
    keras = importlib.import_module("keras")
    behind = keras.backend.backend()
    return side(behind) if behind in ("jax", "torch") else f"Keras on {behind}"


def _numpy() -> str:
    numpy: Any = importlib.import_module("numpy")
    found = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{_processor()}; {found.get('name', 'a BLAS')} {found.get('version', '')}".strip()


def _processor() -> str:
    """The CPU, also where MLX computes on something else."""
    return device(mx.Device(mx.cpu))


SIDES = {"mlx": _mlx, "torch": _torch, "jax": _jax, "keras": _keras, "numpy": _numpy}
