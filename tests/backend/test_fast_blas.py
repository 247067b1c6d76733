"""The fast BLAS: in place where it can be, silent where it cannot, and right."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from blas import threads

from miniframe.backend import fast_blas

linux = pytest.mark.skipif(sys.platform != "linux", reason="the fast BLAS is for Linux")


def run(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@linux
def test_status_names_openblas_and_its_threads():
    assert fast_blas.status().startswith("OpenBLAS") and "threads" in fast_blas.status()


@linux
@pytest.mark.parametrize("first", ["import mlx.core", "import miniframe", "import torch", "import numpy"])
def test_it_is_in_place_whatever_is_imported_first(first):
    code = f"{first}; import miniframe.backend.fast_blas as b; import miniframe; print(b.status())"
    assert run(code).startswith("OpenBLAS")


@linux
def test_it_can_be_switched_off():
    code = "import miniframe.backend.fast_blas as b; import miniframe; print(b.status())"
    assert run(code, MINIFRAME_FAST_BLAS="0") == "MLX's own (switched off by MINIFRAME_FAST_BLAS=0)"


@linux
def test_one_thread_for_a_while_and_as_many_as_before_afterwards():
    before = threads()
    with pytest.raises(RuntimeError), fast_blas.one_thread():
        assert threads() == 1
        raise RuntimeError
    assert threads() == before


@linux
def test_of_two_threads_that_ask_for_one_the_last_to_be_done_restores():
    before, second_in, first_out = threads(), threading.Event(), threading.Event()

    def second():
        with fast_blas.one_thread(), fast_blas.one_thread():
            second_in.set()
            assert first_out.wait(10)
            return threads()

    with ThreadPoolExecutor(1) as pool:
        with fast_blas.one_thread():
            other = pool.submit(second)
            assert second_in.wait(10)
        assert threads() == 1
        first_out.set()
        assert other.result() == 1
    assert threads() == before


def test_one_thread_without_the_fast_blas_changes_nothing():
    code = (
        "import miniframe, miniframe.backend.fast_blas as b, mlx.core as mx\n"
        "with b.one_thread(): print((mx.ones((3, 4)) @ mx.ones((4, 2))).sum().item(), b.status()[:9])"
    )
    assert run(code, MINIFRAME_FAST_BLAS="0") == "24.0 MLX's own"


@linux
def test_a_missing_library_leaves_mlx_working():
    code = (
        "import sys; sys.modules['scipy_openblas32'] = None\n"
        "import miniframe as mf, miniframe.backend.fast_blas as b, mlx.core as mx\n"
        "print(b.status(), (mx.ones((3, 4)) @ mx.ones((4, 2))).sum().item())"
    )
    out = run(code)
    assert out.startswith("MLX's own (ModuleNotFoundError") and out.endswith("24.0")


@linux
def test_the_slots_of_a_library_that_is_not_loaded_are_not_found():
    assert fast_blas._find_slots("libnothing.so", fast_blas.ROUTINES, (6, 7)) == {}


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (65, 33, 129)])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.complex64])
def test_products_are_right_for_every_layout(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    tolerance = 1e-12 if dtype == mx.float64 else 1e-4
    with mx.stream(mx.cpu):
        left, right = mx.array(a, dtype=dtype), mx.array(b, dtype=dtype)
        for x in (left, mx.contiguous(left.T).T):
            for y in (right, mx.contiguous(right.T).T):
                np.testing.assert_allclose(np.array(x @ y), a @ b, atol=tolerance)
        batch = mx.stack([left, 2 * left]) @ right
        np.testing.assert_allclose(np.array(batch)[1], 2 * a @ b, atol=2 * tolerance)
