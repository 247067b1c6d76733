"""The command line."""

import subprocess
import sys

import pytest

import miniframe as mf
from miniframe.cli import main


def test_info_shows_device_and_blas(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for word in ("miniframe", "MLX", "device", "BLAS", "Python"):
        assert any(line.startswith(word) for line in out.splitlines()), word


def test_the_module_is_the_command():
    result = subprocess.run([sys.executable, "-m", "miniframe", "--version"], capture_output=True, text=True)
    assert result.stdout.strip() == f"miniframe {mf.__version__}"


def test_demo_trains_reports_and_draws(tmp_path, capsys):
    assert main(["demo", "--points", "300", "--epochs", "2", "--figures", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    for word in ("device:", "BLAS:", "training error:", "test error:", "time per epoch:", "figure:"):
        assert word in out
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"demo_regions.png", "demo_curves.png"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["bench", "--workloads", "disc"], "miniframe bench: unknown workload 'disc'; known: disk-1k, disk-10k, mlp"),
        (["bench", "--rounds", "0"], "expected at least 1 round"),
        (["demo", "--points", "0"], "miniframe demo: expected at least 1 point"),
    ],
)
def test_mistakes_are_one_line_and_a_status(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_a_reader_that_leaves_early_gets_no_complaints():
    process = subprocess.Popen(
        [sys.executable, "-m", "miniframe", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0
