"""Every picture stays inside its sheet, and says what is wrong with its input."""

import io
import subprocess
import sys

import matplotlib.image
import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe import plots
from miniframe.plots.canvas import png


@pytest.fixture(scope="module")
def disk():
    x, labels = mf.datasets.disk(200)
    return np.array(x), np.array(labels)


def truth(x):
    """A classifier that is always right about the disk."""
    return mf.one_hot((((np.array(x) - 0.5) ** 2).sum(1) < 1 / (2 * np.pi)).astype(int), 2)


def rendered(figure) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png(figure)))[..., :3]


def all_figures(disk):
    x, labels = disk
    model = mf.Sequential(mf.Linear(2, 4), mf.ReLU(), mf.Linear(4, 2))
    model.backward(mx.ones_like(model(mx.array(x))))
    history = {"loss": [1.0, 0.1], "val_loss": [1.1, 0.3], "accuracy": [0.5, 0.9]}
    return {
        "decision regions": plots.decision_regions({"model": model, "truth": truth}, x, labels, resolution=40),
        "errors": plots.errors({"model": model, "truth": truth}, x, labels),
        "curves": plots.curves({"one": history, "another one": history}),
        "schedules": plots.schedules({"one cycle": mf.schedules.one_cycle(0.1, 50), "none": lambda step: 0.02}, 60),
        "gradient flow": plots.gradient_flow(model),
        "activations": plots.activations(),
        "filters": plots.filters(normal(6, 3, 3, 1)),
        "colour filters": plots.filters(normal(6, 3, 3, 3)),
        "deep filters": plots.filters(normal(4, 3, 3, 5)),
        "feature maps": plots.feature_maps(normal(8, 7, 5)),
        "images": plots.images(np.random.default_rng(0).random((5, 8, 8, 3)), titles="abcde"),
        "confusion": plots.confusion_matrix([0, 1, 1], [0, 1, 2], names=["circle", "square", "triangle"]),
    }


def test_nothing_is_clipped_at_the_edge_of_any_figure(disk):
    for name, figure in all_figures(disk).items():
        picture = rendered(figure)
        assert picture.std() > 0.01, name
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert (edge == 1).all(), f"{name}: ink at the edge"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.decision_regions(truth, normal(3, 3), [0, 1, 0]), r"expected x of shape \(N, 2\), got \(3, 3\)"),
        (lambda: plots.errors(truth, normal(3, 2), [0, 1]), "expected one label for each of 3 points"),
        (lambda: plots.errors(lambda x: [1.0], normal(3, 2), [0, 1, 1]), "expected one output, or a row of scores"),
        (lambda: plots.confusion_matrix([0, 1], [0]), "expected one label for each prediction"),
        (lambda: plots.confusion_matrix([0, 1], [0, 1], names=["a"]), "expected 2 names"),
        (lambda: plots.filters(normal(3, 3)), r"expected weights \(out, kernel_h, kernel_w, in\), got \(3, 3\)"),
        (lambda: plots.feature_maps(normal(2, 4, 4, 3)), r"expected \(H, W, channels\)"),
        (lambda: plots.images(normal(2, 4, 4, 2)), r"images: expected \(N, H, W\)"),
        (lambda: plots.images(normal(2, 4, 4), titles=["one"]), "expected 2 titles, got 1"),
        (lambda: plots.activations([]), "expected at least one layer"),
    ],
)
def test_unsuitable_input_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_matplotlib_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import miniframe as mf\n"
        "try: mf.plots.activations()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plots need matplotlib: pip install miniframe[figures]"
