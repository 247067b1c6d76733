"""``import fakegpu`` before mlx: Device::gpu exists, is the default, and refuses what Metal refuses.

``make test-gpu`` builds it and runs the tests with it; by hand, build first: sh build.sh. Linux x86-64 only.
FAKEGPU_LOG=file writes, at exit, which primitives ran with which types; FAKEGPU_TF32=1 rounds the inputs of products as
CUDA and new Apple GPUs do, unless MLX_ENABLE_TF32 is 0.
"""

import atexit
import ctypes
import importlib.util
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
spec = importlib.util.find_spec("mlx")  # a namespace package: not imported by this
library = next(p for folder in spec.submodule_search_locations for p in pathlib.Path(folder).glob("lib/libmlx.so"))
symbols = {}
for line in subprocess.run(["nm", str(library)], capture_output=True, text=True, check=True).stdout.splitlines():
    parts = line.split()
    if len(parts) == 3:
        symbols[parts[2]] = int(parts[0], 16)
ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
base = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if line.rstrip().endswith("/libmlx.so"))
shim = ctypes.CDLL(str(HERE / "libfakegpu.so"))
gpu, cpu = "_ZN3mlx4core3gpu", "_ZN3mlx4core3cpu"
patched = [
    gpu + "10new_streamENS0_6StreamE",
    gpu + "24new_thread_unsafe_streamENS0_6StreamE",
    gpu + "4evalERNS0_5arrayE",
    gpu + "8finalizeENS0_6StreamE",
    gpu + "11synchronizeENS0_6StreamE",
    gpu + "12is_availableEv",
    gpu + "12device_countEv",
    cpu + "10new_streamENS0_6StreamE",
    cpu + "24new_thread_unsafe_streamENS0_6StreamE",
]
shim.fakegpu_install(*[ctypes.c_size_t(base + symbols[name]) for name in patched])  # a missing symbol is an error
shim.fakegpu_seen.restype = ctypes.c_char_p


def seen() -> str:
    """Every primitive that ran on the pretended GPU, with its types and how often."""
    return shim.fakegpu_seen().decode()


if os.environ.get("FAKEGPU_LOG"):
    atexit.register(lambda: pathlib.Path(os.environ["FAKEGPU_LOG"]).write_text(seen()))
