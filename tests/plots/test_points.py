"""Points in the plane: the predicted class, and the points that are wrong."""

import numpy as np
import pytest
from harness import close

import miniframe as mf
from miniframe import plots


@pytest.fixture(scope="module")
def disk():
    x, labels = mf.datasets.disk(200)
    return np.array(x), np.array(labels)


def truth(x):
    """A classifier that is always right about the disk."""
    return mf.one_hot((((np.array(x) - 0.5) ** 2).sum(1) < 1 / (2 * np.pi)).astype(int), 2)


def test_decision_regions_show_the_predicted_class(disk):
    x, labels = disk
    figure = plots.decision_regions(truth, x, labels, resolution=50)
    tints = figure.axes[0].images[0].get_array()
    assert not np.array_equal(tints[25, 25], tints[0, 0])
    assert np.array_equal(tints[0, 0], tints[-1, -1])


def test_a_single_output_is_compared_with_the_threshold(disk):
    x, labels = disk
    logit = lambda points: truth(points)[:, 1:] * 2 - 1.2  # noqa: E731
    assert plots.errors(logit, x, labels, threshold=0).axes[0].get_title() == "0 of 200 wrong (0.00%)"
    assert plots.errors(logit, x, labels, threshold=2).axes[0].get_title().startswith(f"{labels.sum()} of 200")


def test_errors_counts_and_marks_the_wrong_points(disk):
    x, labels = disk
    wrong = labels.copy()
    wrong[:7] = 1 - wrong[:7]
    ax = plots.errors({"truth": truth}, x, mf.one_hot(wrong, 2)).axes[0]
    assert ax.get_title() == "truth\n7 of 200 wrong (3.50%)"
    close(ax.collections[1].get_offsets(), x[:7])


def test_the_circle_is_drawn_for_the_disk_alone(disk):
    assert len(plots.errors(truth, *disk).axes[0].lines) == 1
    assert not plots.errors(lambda x: [0, 1, 1, 0], *mf.datasets.gate("xor")).axes[0].lines


def test_a_model_is_asked_in_evaluation_mode(disk):
    x, labels = disk
    model = mf.Sequential(mf.Linear(2, 2), mf.Dropout(0.9))
    counts = {plots.errors(model, x, labels).axes[0].get_title() for _ in range(3)}
    assert len(counts) == 1 and model.training
