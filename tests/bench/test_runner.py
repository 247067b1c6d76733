"""Times of several systems, side by side."""

import json

from miniframe.cli import main


def test_bench_times_the_systems_that_are_installed(tmp_path, monkeypatch, capsys):
    from miniframe.bench import runner

    kept = {name: runner.SYSTEMS[name] for name in ("miniframe fit", "MLX step by hand, compiled", "PyTorch")}
    monkeypatch.setattr(runner, "SYSTEMS", {**kept, "Absent": (None, "no_such_package")})
    monkeypatch.setattr(runner, "EPOCHS", {"disk-1k": 2})
    path, figure = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = ["bench", "--workloads", "disk-1k", "--rounds", "2", "--json", str(path), "--figure", str(figure)]
    assert main(arguments) == 0
    result = json.loads(path.read_text())["workloads"]["disk-1k"]
    assert set(result["ms_per_epoch"]) == set(kept) and all(ms > 0 for ms in result["ms_per_epoch"].values())
    assert result["ratio_to_miniframe"]["miniframe fit"] == 1
    assert result["skipped"] == {"Absent": "no_such_package is not installed"}
    assert result["peak_flops"] > 1e8 and set(result["share_of_peak"]) == set(kept)
    assert all(0 < share < 1 for share in result["share_of_peak"].values())
    printed = capsys.readouterr().out
    assert "times miniframe  of the peak" in printed and "GFLOP/s, of a 1024 x 1024 product" in printed
    assert "allocator" in printed and figure.stat().st_size > 5000
