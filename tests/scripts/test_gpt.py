"""The script that trains a GPT: a short run of it, and the table of pairs that it is measured by."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from loading import load_script

FILE = Path(__file__).parents[2] / "tutorials" / "scripts" / "gpt.py"


def test_a_short_run_on_a_text_of_ones_own_shows_samples_a_table_and_curves(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 200)
    command = [sys.executable, FILE, "--steps", "4", "--epochs", "2", "--text", tmp_path / "text.txt"]
    command += ["--picture", tmp_path / "gpt.png", "--json", tmp_path / "gpt.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("--- after epoch") == 4
    table = dict(re.findall(r"^(table of pairs|LSTM|GPT) +[\d,]+ +([\d.]+)$", done.stdout, re.MULTILINE))
    assert 0.3 < float(table["table of pairs"]) < 1.5
    assert all(float(table[name]) < math.log(50) for name in ("GPT", "LSTM"))
    found = json.loads((tmp_path / "gpt.json").read_text())["models"]
    assert 1 <= found["LSTM"]["parameters"] / found["GPT"]["parameters"] < 1.1
    assert len(found["GPT"]["held out"]) == 2 and (tmp_path / "gpt.png").stat().st_size > 5000


def test_the_table_of_pairs_knows_what_follows_what():
    script = load_script(FILE)
    alternating = np.array([0, 1] * 500)
    assert script.pairs_loss(alternating, alternating, 2) == pytest.approx(0, abs=0.01)
    coins = np.random.default_rng(0).integers(0, 2, 10_000)
    assert script.pairs_loss(coins[:8000], coins[8000:], 2) == pytest.approx(math.log(2), abs=0.01)
