"""Freed memory is kept where glibc allows it, and on request is not."""

import os
import subprocess
import sys

import pytest

from miniframe.backend import kept_memory

CODE = """
import miniframe as mf, mlx.core as mx, resource
from miniframe.backend import kept_memory
for _ in range(2):
    mx.eval(mx.ones((16, 2**20)))  # 64 MB
    mx.synchronize()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    mx.eval(mx.ones((16, 2**20)))
    mx.synchronize()
print(kept_memory.status(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, sep=";")
"""

KEPT_BY_MLX = """
import mlx.core as mx
import miniframe as mf
for _ in range(20):
    mx.eval(mx.ones((2**18,)) + 1)  # 1 MB
mx.synchronize()
print("kept", mx.get_cache_memory())
"""


def output(code, keep):
    environment = {**os.environ, "MINIFRAME_KEEP_MEMORY": keep}
    environment.pop("FAKEGPU", None)  # it is for CPUs
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def run(keep):
    status, faults = output(CODE, keep).strip().split(";")
    return status, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_arrays_reuse_the_pages_of_freed_ones_unless_switched_off():
    kept, returned = run("1"), run("0")
    assert kept[0] == "kept for the next ones" and returned[0] == "returned to the system"
    assert kept[1] < 0.5 * returned[1]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_mlx_does_not_keep_the_same_memory_once_more():
    assert 0 < int(output(KEPT_BY_MLX, "1").split()[-1]) <= kept_memory.SMALL
