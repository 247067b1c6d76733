"""Every test starts from the same random state."""

import os
import shutil

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side: threads that wait would take the cores from each other
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import mlx.core as mx
import pytest
import torch

import miniframe as mf

collect_ignore = ["support", "fake_gpu/fakegpu.py", "fake_gpu/sitecustomize.py"]  # helpers, which tests import by name
if "FAKEGPU" not in os.environ:
    collect_ignore += ["fake_gpu"]  # its tests are of the pretended GPU: make test-gpu
else:  # pages, slides and pictures compute nothing
    collect_ignore += [f"scripts/test_{name}.py" for name in ("site", "slides", "hero", "pictures")]

if os.environ.get("MINIFRAME_TEST_DEVICE") == "cpu":  # on a machine with a GPU
    mx.set_default_device(mx.cpu)


torch.backends.cuda.enable_flash_sdp(False)  # on CPUs with AVX-512, too, its fused attention rounds exp to 20 units


@pytest.fixture(autouse=True)
def same_random_numbers():
    mf.seed(0)
    torch.default_generator.manual_seed(0)  # as torch.manual_seed, which also notes a traceback for each GPU, slowly
    yield
    mx.synchronize()


@pytest.fixture
def on_cpu():
    """For tests of what is done on the CPU only, whatever the default device is."""
    before = mx.default_device()
    mx.set_default_device(mx.cpu)
    yield
    mx.set_default_device(before)


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium():
    """A real browser, driven by Playwright, of which there can be one in a process."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        if os.environ.get("MINIFRAME_BROWSER") == "required":
            pytest.fail("MINIFRAME_BROWSER says that there is a browser, and there is none")
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
