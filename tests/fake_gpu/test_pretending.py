"""The pretended GPU is the default device, refuses what Metal refuses, and never gives way to the CPU in silence."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fakegpu
import mlx.core as mx
import on_a_gpu
import pytest

import miniframe as mf

HERE = Path(__file__).parent
ROOT = Path(mf.__file__).parent.parent


def python(code, folder=HERE, **environment):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MLX_")}
    environment = {**ours, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


def counts():
    """How often each primitive has run."""
    found = Counter()
    for line in fakegpu.seen().splitlines():
        times, name, *_ = line.split()
        found[name] += int(times)
    return found


def test_it_is_the_default_device_and_computes():
    assert mx.default_device() == mx.Device(mx.gpu)
    mx.eval(mx.arange(3) * 2)
    assert "Multiply int32" in fakegpu.seen() or "Compiled" in fakegpu.seen()


def test_what_users_do_works_on_it(capsys):
    on_a_gpu.main()
    assert "resumed: difference" in capsys.readouterr().out


@pytest.mark.parametrize("names", ["new_streamENS0", "4evalERNS0"])
def test_a_missing_symbol_ends_the_process(names, tmp_path):
    for file in ("fakegpu.py", "sitecustomize.py", "libfakegpu.so"):
        shutil.copy(HERE / file, tmp_path)
    script = tmp_path / "fakegpu.py"
    script.write_text(script.read_text().replace(names, names + "_gone"))
    done = python("print('went on')", tmp_path)
    assert done.returncode == 3 and done.stdout == "" and "KeyError" in done.stderr


REFUSED = {
    "more than 10 dimensions": lambda: mx.ones((1,) * 10)[None] + 1,
    "float64": lambda: mx.ones(2).astype(mx.float64),
    "NYI": lambda: mx.linalg.inv(mx.eye(2), stream=mx.gpu),
    "non-floating": lambda: mx.ones((2, 2), mx.int32) @ mx.ones((2, 2), mx.int32),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_metal_refuses_is_refused(words):
    with pytest.raises((RuntimeError, ValueError), match=f"{words}|inexact|floating|GPU"):
        mx.eval(REFUSED[words]())


def test_products_are_rounded_only_where_the_user_asks_for_it():
    code = "from miniframe.backend.machine import info; print(info()['products'])"
    assert python(code, FAKEGPU_TF32="1").stdout == "exact\n"
    asked = python(code, FAKEGPU_TF32="1", MLX_ENABLE_TF32="1").stdout
    assert asked == "rounded to TF32, for speed (MLX_ENABLE_TF32=1; 0 makes them exact)\n"


def test_backward_of_a_convolution_makes_no_rows_of_windows():
    layer = mf.Conv2d(3, 4, 3, padding=1, stride=2)
    x = mx.random.normal((2, 7, 8, 3))
    mx.eval(layer(x))
    grad = mx.ones((2, 4, 4, 4))
    mx.eval(grad)
    before = counts()
    mx.eval(layer.backward(grad), layer.weight.grad)
    done = counts() - before
    assert done["Convolution"] == 2 and not done["AsStrided"] and not done["Matmul"]
