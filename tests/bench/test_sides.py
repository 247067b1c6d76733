"""Each side of a comparison says on which device it computes, and with whose kernels."""

import json
import sys
from pathlib import Path

import mlx.core as mx
import pytest
import torch
from loading import load_script

import miniframe as mf
from miniframe.backend.machine import device
from miniframe.bench import runner, sides

BENCHMARKS = Path(mf.__file__).parents[1] / "benchmarks"


def test_mlx_names_its_device_and_its_blas_or_kernels():
    words = sides.side("mlx")
    assert words.startswith(device())
    assert ("kernels, products" in words) == (mx.default_device() != mx.Device(mx.cpu))


def test_on_a_cpu_both_name_the_same_processor_and_their_own_libraries(on_cpu):
    ours, theirs = sides.side("mlx"), sides.side("torch")
    assert ours.split(";")[0] == theirs.split(";")[0] == device(mx.Device(mx.cpu))
    assert ours.split(";")[1] != theirs.split(";")[1]
    assert theirs.endswith(f"{torch.get_num_threads()} threads") and sides.torch_device() == "cpu"
    assert sides.side("numpy").startswith(ours.split(";")[0])


def test_pytorch_takes_a_gpu_where_mlx_has_one_and_says_so(monkeypatch):
    monkeypatch.setattr(sides, "on_cpu", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A Big One")
    assert sides.torch_device() == "cuda"
    assert sides.side("torch") == "GPU: A Big One; cuBLAS and cuDNN, products exact"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert sides.torch_device() == "cpu" and sides.side("torch").startswith("CPU: ")


def test_each_package_is_named_once():
    assert list(sides.sides(["torch", "mlx", "torch"])) == ["torch", "mlx"]


def test_bench_prints_both_sides_and_stores_them(tmp_path, monkeypatch, capsys):
    kept = {name: runner.SYSTEMS[name] for name in ("miniframe fit", "PyTorch")}
    monkeypatch.setattr(runner, "SYSTEMS", kept)
    monkeypatch.setattr(runner, "EPOCHS", {"disk-1k": 1})
    path = tmp_path / "bench.json"
    runner.run(["disk-1k"], 1, str(path), None)
    stored = json.loads(path.read_text())["computed on"]
    assert stored == sides.sides(["mlx", "torch"])
    printed = capsys.readouterr().out
    assert all(f"{package} computes on {words}" in printed for package, words in stored.items())


@pytest.mark.parametrize("name", sorted(path.name for path in BENCHMARKS.glob("*.py")))
def test_every_benchmark_that_measures_says_where(name):
    text = (BENCHMARKS / name).read_text()
    says = "side(" in text or "sides(" in text or "from miniframe.bench import run" in text
    assert says or name in ("own_kernels.py", "readme_table.py", "speed_page.py"), name


def test_the_memory_of_a_training_is_measured_and_its_device_named(monkeypatch, capsys):
    memory = load_script("benchmarks/memory.py")
    monkeypatch.setattr(memory, "EPOCHS", 20)
    monkeypatch.setattr(sys, "argv", ["memory.py", "--leaks"])
    memory.main()
    assert capsys.readouterr().out.startswith(f"computed on {device()}")
