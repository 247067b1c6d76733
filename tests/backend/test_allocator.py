"""Starting a script with another allocator: found, named, or said what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from miniframe.backend import allocator
from miniframe.cli import main

linux = pytest.mark.skipif(sys.platform != "linux", reason="other allocators are for Linux only")
SCRIPT = "import os, sys; print(os.environ['LD_PRELOAD'], sys.argv[1:])"


def some_library():
    """A library that does no harm where it is loaded before all others."""
    maps = Path("/proc/self/maps").read_text().split()
    return next(word for word in maps if "libm.so" in word or "libm-" in word)


@linux
def test_a_script_runs_with_the_library_and_its_arguments(tmp_path):
    script = tmp_path / "my script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "miniframe", "run", str(script), "--epochs", "3", "-x"],
        env={allocator.SETTING: some_library(), "LD_PRELOAD": some_library(), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"{some_library()}:{some_library()} ['--epochs', '3', '-x']\n", done.stderr


@pytest.mark.parametrize(
    "platform, installed, arguments, words",
    [
        ("linux", [], ["script.py"], "found no faster allocator; install jemalloc (Debian, Ubuntu: apt install libje"),
        ("darwin", ["jemalloc"], ["script.py"], "other allocators are for Linux only; here, start the script with py"),
        ("linux", ["jemalloc"], ["nowhere.py"], "there is no file 'nowhere.py'"),
        ("linux", ["jemalloc"], [], "expected a script: miniframe run script.py"),
    ],
)
def test_what_cannot_be_is_one_line(platform, installed, arguments, words, monkeypatch, tmp_path, capsys):
    (tmp_path / "script.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(allocator.SETTING, raising=False)
    monkeypatch.setattr(allocator.sys, "platform", platform)
    monkeypatch.setattr(allocator, "find_library", lambda name: f"lib{name}.so.2" if name in installed else None)
    assert main(["run", *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("miniframe run: ") and words in err and err.count("\n") == 1


def test_the_first_known_one_is_taken_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.delenv(allocator.SETTING, raising=False)
    monkeypatch.setattr(allocator, "find_library", lambda name: f"lib{name}.so" if name != "jemalloc" else None)
    assert allocator.find() == "libtcmalloc_minimal.so"
    own = tmp_path / "own.so"
    own.touch()
    monkeypatch.setenv(allocator.SETTING, str(own))
    assert allocator.find() == str(own)
    monkeypatch.setenv(allocator.SETTING, "gone.so")
    with pytest.raises(OSError, match="MINIFRAME_ALLOCATOR: there is no file 'gone.so'"):
        allocator.find()


def test_which_one_is_in_use_is_read_from_the_process(monkeypatch):
    assert allocator.status().startswith("the system's")
    monkeypatch.setattr(allocator.Path, "read_text", lambda path: "7f00 r-xp /usr/lib/libjemalloc.so.2\n")
    assert allocator.status() == "jemalloc"
