"""The ground: what miniframe computes with, and the processes that compute together."""

try:
    import mlx.core as _mlx  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"miniframe: MLX cannot compute here ({error}); install one of its back ends: in miniframe's folder, "
        "pip install '.[cpu]', or '.[cuda]' for an NVIDIA GPU"
    ) from None

from .machine import blas as blas
from .machine import device as device
from .machine import info as info
