"""The pytest plugin: one test for each check, and what is wrong in its report."""

import os
import subprocess
import sys

TESTS = """
import numpy as np
import pytest
import miniframe as mf


@mf.register
class Twofold(mf.Module):
    def forward(self, x):
        return 2 * x

    def backward(self, grad_output):
        return FACTOR * grad_output


@pytest.mark.check_layer(Twofold(), np.ones((2, 3)), skip=["copies_and_pickles"])
def test_twofold(layer_check):
    layer_check()
"""


def ran(tmp_path, factor, tests=TESTS):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["miniframe.testing.plugin"]\n')
    (tmp_path / "test_own.py").write_text(tests.replace("FACTOR", factor))
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # those of other packages take seconds to load
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout


def test_the_marker_makes_a_test_of_each_check(tmp_path):
    assert "16 passed" in ran(tmp_path, "2")


def test_what_is_wrong_fails_under_its_name(tmp_path):
    out = ran(tmp_path, "3")
    assert "test_twofold[training_gradients]" in out and "off by a constant factor" in out or "backward says" in out
    assert "passed" in out and "failed" in out


def test_a_test_that_does_not_take_the_check_is_told(tmp_path):
    out = ran(tmp_path, "2", TESTS.replace("test_twofold(layer_check)", "test_twofold()"))
    assert "a test with the marker check_layer takes layer_check" in out
