"""The benchmark of the product of matrices: every device, every size, and right words about who is faster."""

import re

import pytest
from loading import load_script


@pytest.fixture(scope="module")
def matmul():
    return load_script("benchmarks/matmul.py")


def test_every_size_is_measured_on_every_device(matmul):
    found = matmul.measure([8, 16], seconds=0.0)
    assert {"one core", "all cores"} <= set(found)
    assert all(set(times) == {8, 16} and min(times.values()) > 0 for times in found.values())
    lines = matmul.report(found).splitlines()
    assert len(lines) == 3 + len(found) - 1
    assert re.match(r"all cores beside one core: (never )?faster", lines[3])


def test_the_place_where_a_device_passes_is_behind_the_last_loss(matmul):
    base = {32: 1.0, 64: 1.0, 128: 1.0, 256: 1.0}
    noisy = {32: 0.9, 64: 2.0, 128: 0.5, 256: 0.25}
    assert matmul.passes(noisy, base) == "faster from 128 x 128 on; at most 4.0 times, at 256 x 256"
    assert matmul.passes(dict.fromkeys(base, 0.5), base).startswith("faster from 32 x 32 on; at most 2.0")
    assert matmul.passes(dict.fromkeys(base, 2.0), base).startswith("never faster; at best 0.5")
