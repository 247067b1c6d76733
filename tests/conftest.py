"""Every test starts from the same random state."""

import os

import mlx.core as mx
import pytest
import torch

import miniframe as mf

collect_ignore = ["support", "fake_gpu/fakegpu.py", "fake_gpu/sitecustomize.py"]  # helpers, which tests import by name
if "FAKEGPU" not in os.environ:
    collect_ignore += ["fake_gpu"]  # its tests are of the pretended GPU: make test-gpu
else:  # pages and slides compute nothing
    collect_ignore += ["scripts/test_site.py", "scripts/test_slides.py", "scripts/test_hero.py"]

if os.environ.get("MINIFRAME_TEST_DEVICE") == "cpu":  # on a machine with a GPU
    mx.set_default_device(mx.cpu)


@pytest.fixture(autouse=True)
def same_random_numbers():
    mf.seed(0)
    torch.manual_seed(0)
    yield
    mx.synchronize()


@pytest.fixture
def on_cpu():
    """For tests of what is done on the CPU only, whatever the default device is."""
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    yield
    mx.set_default_device(before)
