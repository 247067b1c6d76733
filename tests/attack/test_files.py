"""Damaged files and random command lines end well or in one clear line: no traceback, no hang, no memory eaten up.

The cases run in a process of their own (tests/support/fuzzed_files.py), so that one that crashes is a failed test. A
failure names the kind and the seed of its case; the script runs it again.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import fuzzed_files
import pytest
from attacks import MINUTES, many

import miniframe as mf

CASES = 1500
FEWER = {"checkpoint": 500, "idx": 1000, "command line": 250}  # whose cases take longer
SCRIPT = Path(fuzzed_files.__file__)


@pytest.fixture
def seed(request):
    """The one that was asked for, by make fuzz, too; otherwise the same in every run."""
    return int(request.config.getoption("hypothesis_seed", None) or 0)


def fuzzed(tmp_path, seed, cases, kind):
    """The script's process, ended; the file ``now`` names its last case."""
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(seed), str(cases), kind]
    return subprocess.run(
        command, capture_output=True, text=True, env={**fuzzed_files.ENVIRONMENT, "HOME": str(tmp_path)},
        timeout=120 + 60 * MINUTES,
    )  # fmt: skip


@pytest.mark.parametrize("kind", fuzzed_files.KINDS)
def test_every_outcome_is_success_or_one_clear_line(kind, seed, tmp_path):
    cases, now = many(FEWER.get(kind, CASES)), tmp_path / "now"
    done = fuzzed(tmp_path, seed, cases, kind)
    if "Timeout" in done.stderr:  # is it the file? In some millions of evaluations, MLX once did not come back from one
        own = now.read_text().split("seed ")[1].split(",")[0]
        alone = fuzzed(tmp_path, own, 1, kind)
        assert alone.returncode == 0, f"{kind}, seed {own}:\n{alone.stderr}"
        warnings.warn(
            f"{kind}, seed {own} did not end, and ends when it is run by itself:\n{done.stderr}", stacklevel=1
        )
        done = fuzzed(tmp_path, seed, cases, kind)
    assert done.returncode == 0, f"{now.read_text()} of {cases} (started with {seed}):\n{done.stderr}"
    wrong, refused = json.loads((tmp_path / "results.json").read_text())[kind]
    again = f"{SCRIPT.name} FOLDER SEED 1 '{kind}' runs a case again"
    assert not wrong, "\n".join([f"{kind}, seed {own}: {words}" for own, words in wrong] + [again])
    assert cases / 10 < refused < cases  # the damage is neither always fatal nor never noticed


@pytest.mark.parametrize(
    "act, words",
    [
        (lambda path: [][1], "IndexError: list index out of range"),
        (lambda path: (_ for _ in ()).throw(ValueError("two\nlines of words")), "ValueError, which is no clear line"),
        (lambda path: (_ for _ in ()).throw(ValueError("short")), "ValueError, which is no clear line"),
        (lambda path: bytearray(500 * 2**20), " MiB of memory"),
    ],
)
def test_the_fuzzer_notices(act, words, monkeypatch, tmp_path):
    kind = fuzzed_files.SavedModel(tmp_path)
    monkeypatch.setattr(mf, "load", act)
    assert words in fuzzed_files.trouble(kind, 0)[0]
