"""What miniframe says of the machine, and what it sets on import."""

import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe.backend import machine

ROOT = Path(mf.__file__).parent.parent


def python(code, path=(), **environment):
    """What a new process prints; it does not inherit what this one has set."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MLX_", "FAKEGPU"))}
    path = os.pathsep.join(map(str, [*path, ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]))
    environment = {**ours, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("asked, found", [({}, "0"), ({"MLX_ENABLE_TF32": "1"}, "1")])
def test_products_are_exact_unless_the_user_asks_for_speed(asked, found):
    code = "import os, miniframe; print(os.environ['MLX_ENABLE_TF32'])"
    assert python(code, **asked).stdout == f"{found}\n"


def test_tricks_for_cpus_are_left_out_on_a_gpu(monkeypatch):
    done = []
    monkeypatch.setattr(machine.kept_memory, "install", lambda: done.append("memory"))
    for on_cpu, expected in ((True, ["memory"]), (False, [])):
        monkeypatch.delenv("MLX_BFS_MAX_WIDTH", raising=False)
        monkeypatch.setattr(machine, "on_cpu", lambda here=on_cpu: here)
        done.clear()
        machine.prepare()
        assert done == expected and ("MLX_BFS_MAX_WIDTH" in os.environ) == on_cpu


def test_without_a_back_end_of_mlx_one_line_says_what_to_install(tmp_path):
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "__init__.py").touch()
    (tmp_path / "mlx" / "core.py").write_text("raise ImportError('libmlx.so: cannot open shared object file')")
    done = python("import miniframe", path=[tmp_path])
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "ImportError: miniframe: MLX cannot compute here (libmlx.so: cannot open shared object file); install one of "
        "its back ends: in miniframe's folder, pip install '.[cpu]', or '.[cuda]' for an NVIDIA GPU"
    )
    assert "During handling" not in done.stderr


def test_two_back_ends_over_each_other_are_told(monkeypatch):
    both = ("mlx-cpu", "mlx-cuda-13")
    monkeypatch.setattr(machine.metadata, "distributions", lambda name: iter([name] if name in both else []))
    assert machine.back_end() == (
        "mlx-cpu and mlx-cuda-13, installed over each other: uninstall them all, then install one"
    )


@pytest.mark.usefixtures("on_cpu")
def test_the_processor_has_the_name_that_the_system_gives_it(monkeypatch):
    monkeypatch.setattr(mx, "device_info", lambda device: {"device_name": "Apple M4"} if device == mx.cpu else {})
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert machine.device() == "CPU: Apple M4"


def test_rounded_products_are_seen_and_told_with_the_remedy(monkeypatch):
    exact = mx.eye
    monkeypatch.setattr(mx, "eye", lambda size: exact(size) * (1 - 2**-12))  # as if a factor had been rounded
    monkeypatch.setenv("MLX_ENABLE_TF32", "1")
    assert machine.info()["products"] == "rounded to TF32, for speed (MLX_ENABLE_TF32=1; 0 makes them exact)"


def test_of_a_macs_cores_only_the_fast_ones_count(monkeypatch):
    class Mac:
        @staticmethod
        def sysctlbyname(name, count, size, new, length):
            assert name == b"hw.perflevel0.logicalcpu" and size._obj.value == 4 and (new, length) == (None, 0)
            count._obj.value = 6
            return 0

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: Mac)
    assert machine.cores() == 6
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert machine.cores() == 8
