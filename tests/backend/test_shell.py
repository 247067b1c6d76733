"""Commands in messages work as they stand, whether a virtual environment is activated or not."""

import subprocess
import sys
from pathlib import Path

import pytest

from miniframe.backend import shell


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment, which is not activated, in the folder that one stands in."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "python3", "miniframe"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python3"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return folder


def test_where_it_is_not_activated_commands_come_with_their_folder(environment):
    assert shell.miniframe() == ".venv/bin/miniframe" and shell.python() == ".venv/bin/python3"


def test_where_it_is_activated_commands_are_plain(environment, monkeypatch):
    monkeypatch.setenv("PATH", f"{environment}:/usr/bin:/bin")
    assert shell.miniframe() == "miniframe" and shell.python() in ("python3", "python")


def test_from_another_folder_the_whole_path_is_shown_and_quoted(environment, tmp_path, monkeypatch):
    other = tmp_path / "else where" / "bin"
    other.mkdir(parents=True)
    (other / "python").write_text("")
    monkeypatch.setattr(sys, "executable", str(other / "python"))
    inside = tmp_path / "deep"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert shell.python() == f"'{other}/python'"
    assert shell.miniframe() == f"'{other}/python' -m miniframe"


def test_what_new_prints_can_be_pasted(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "miniframe", "new", "my project.py"], cwd=tmp_path, capture_output=True, text=True
    )
    command = done.stdout.partition("run it: ")[2].strip()
    Path(tmp_path / "my project.py").write_text("print('ran')")
    ran = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout == "ran\n", (command, ran.stderr)


def test_new_names_a_folder_that_is_not_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "miniframe", "new", "no/such/file.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == "miniframe new: cannot write no/such/file.py: there is no folder no/such\n"
