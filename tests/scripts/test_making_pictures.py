"""The script whose two networks make pictures: a short run of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from loading import load_script

FILE = Path(__file__).parents[2] / "tutorials" / "scripts" / "pictures.py"


def test_a_short_run_draws_pictures(tmp_path):
    command = [sys.executable, FILE, "--count", "60", "--epochs", "1", "--picture", tmp_path / "pictures.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pictures.png").stat().st_size > 5000


def test_silhouettes_are_white_on_black_whatever_the_colours_were():
    script = load_script(FILE)
    x = np.array(script.silhouettes(30))
    assert x.shape == (30, 16, 16, 1) and x.min() >= 0 and np.all(x.max(axis=(1, 2, 3)) == 1)
    assert 0.03 < (x > 0.5).mean() < 0.7 and np.all(x[:, 0, 0] < 0.5)
