"""One network in five frameworks: every block is run where its framework is installed, with equal numbers."""

import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "tutorials" / "one_network_five_ways.md").read_text()
BLOCKS = dict(re.findall(r"^```python ([\w.]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
(START,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(framework):
    names = {}
    exec(compile(START + BLOCKS[framework], framework, "exec"), names)
    return names


def test_there_are_five():
    assert list(BLOCKS) == ["miniframe", "torch", "keras", "mlx.nn", "jax"]


@pytest.mark.parametrize("framework", list(BLOCKS)[1:])
def test_the_numbers_are_those_of_miniframe(framework):
    if importlib.util.find_spec(framework.split(".")[0]) is None:
        pytest.skip(f"{framework} is not installed")
    if framework == "keras":
        backend = next((name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)), None)
        os.environ.setdefault("KERAS_BACKEND", backend or "jax")
    ours, theirs = run("miniframe"), run(framework)
    assert theirs["loss_value"] == pytest.approx(ours["loss_value"], rel=1e-6)
    for what in ("gradients", "after"):
        assert len(ours[what]) == len(theirs[what]) == 4
        for a, b in zip(ours[what], theirs[what]):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=2e-6)
