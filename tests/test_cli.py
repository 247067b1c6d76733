"""The command line."""

import re
import subprocess
import sys

import pytest

import miniframe as mf
from miniframe.backend import shell
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
        (["bench", "--rounds", "0"], "miniframe bench: expected at least 1 round"),
        (["demo", "--points", "0"], "miniframe demo: expected 1 to 1,000,000,000 points and epochs, got 0 and 60"),
        (["demo", "--seed", "-1"], "miniframe demo: expected a seed from 0 to 1,000,000,000, got -1"),
        (["demo", "--seed", str(2**70)], "miniframe demo: expected a seed from 0 to 1,000,000,000, got 11805"),
        (["demo", "--figures", __file__], f"miniframe demo: cannot make the folder '{__file__}' for the figures: File"),
        (["bench", "--json", "/no/where.json"], "miniframe bench: cannot write '/no/where.json': expected the name of"),
        (["bench", "--figure", "a.doc"], "miniframe bench: cannot draw 'a.doc': expected a file that ends in one of"),
    ],
)
def test_mistakes_are_one_line_and_a_status_before_any_work(arguments, message, capsys):
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(message.partition(":")[0]) and message in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--points", "many"], ["demo", "--colour"]])
def test_what_is_not_understood_is_one_line_and_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.count("\n") == 1 and err.startswith("miniframe") and "--help" in err


@pytest.mark.parametrize(
    "redirected, words",
    [
        (">&-", "miniframe: cannot print, because standard output is closed\n"),
        (">&- 2>&-", ""),
        (">/dev/full", "miniframe info: [Errno 28] No space left on device\n"),
    ],
)
def test_output_that_cannot_be_printed_is_one_line(redirected, words):
    command = f"'{sys.executable}' -m miniframe info {redirected}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", words)


def test_a_folder_that_cannot_be_written_to_is_found_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root, who may run the tests, is refused nothing
    assert main(["demo", "--figures", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", f"miniframe demo: cannot write figures into the folder {str(tmp_path)!r}: no per"
                                   "mission\n")  # fmt: skip


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


@pytest.mark.parametrize("figures", [True, False])
def test_the_script_to_start_from_trains_checks_saves_and_plots(tmp_path, capsys, figures):
    path = tmp_path / "project.py"
    assert main(["new", str(path)]) == 0
    assert capsys.readouterr().out == f"{path} is written; run it: {shell.python()} {path}\n"
    block = "" if figures else "import sys; sys.modules['matplotlib'] = None; "
    code = f"{block}import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "neither warnings nor errors"
    assert "passed" in done.stdout and "classes of the first five test points:" in done.stdout
    accuracy = float(done.stdout.split("accuracy ")[-1].split()[0])
    assert accuracy > 0.9
    made = {file.name for file in tmp_path.iterdir()}
    pictures = {"project_curves.png", "project_regions.png"} if figures else set()
    assert made == {"project.py", "project.model", *pictures}
    assert ("no figures: plots need matplotlib" in done.stdout) != figures


def test_a_script_that_exists_is_left_alone(tmp_path, capsys):
    path = tmp_path / "project.py"
    path.write_text("mine")
    assert main(["new", str(path)]) == 1
    assert path.read_text() == "mine" and "exists and is left as it is; choose another name" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "project")]) == 1
    assert "expected the name of a Python file, such as project.py" in capsys.readouterr().err


def test_without_a_command_all_of_them_are_shown(capsys):
    main([])
    out = capsys.readouterr().out
    for command in ("new", "demo", "info", "bench", "exercises", "check", "grade"):
        assert re.search(rf"\n    {command}\s", out), command
