"""A faster allocator for the steps of small models, on Linux.

MLX allocates on one thread and frees on another, for every operation of a step. The C library's ``malloc`` lets the two
wait for each other; allocators with memory of each thread's own do not, and steps of a small model then take about two
thirds of the time. An allocator cannot be changed in a process that runs, so ``miniframe run script.py`` starts one
with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path

SETTING = "MINIFRAME_ALLOCATOR"
KNOWN = ("jemalloc", "tcmalloc_minimal", "tcmalloc", "mimalloc")  # fastest first


def find() -> str:
    """The library to preload: the one that MINIFRAME_ALLOCATOR names, or the first known one that is installed.

    Raises:
        OSError: where there is none, with what to install.
    """
    if sys.platform != "linux":
        raise OSError(f"other allocators are for Linux only; here, start the script with {Path(sys.executable).name}")
    asked = os.environ.get(SETTING)
    if asked:
        if not Path(asked).is_file():
            raise OSError(f"{SETTING}: there is no file {asked!r}")
        return asked
    for name in KNOWN:
        library = find_library(name)
        if library:
            return library
    raise OSError(
        "found no faster allocator; install jemalloc (Debian, Ubuntu: apt install libjemalloc2; Fedora: dnf install "
        f"jemalloc), or name a library by {SETTING}=/path/to/lib.so"
    )


def status() -> str:
    """Which allocator this process uses."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return "the system's"
    found = [name for name in KNOWN if f"lib{name}" in mapped]
    return found[0] if found else "the system's (miniframe run SCRIPT starts one with a faster one, if installed)"


def start(script: Sequence[str]) -> None:
    """Become a Python that runs the script, with the faster allocator. Returns only by raising.

    Args:
        script: its file and its arguments.

    Raises:
        OSError: without a script or an allocator.
    """
    if not script:
        raise OSError("expected a script: miniframe run script.py")
    if not script[0].startswith("-") and not Path(script[0]).exists():
        raise OSError(f"there is no file {script[0]!r}")
    library = find()
    others = os.environ.get("LD_PRELOAD")
    sys.stdout.flush()
    os.environ["LD_PRELOAD"] = f"{library}:{others}" if others else library
    os.execv(sys.executable, [sys.executable, *script])
