"""A toy of which every weight is proven."""

import numpy as np
from harness import normal

import miniframe as mf
from miniframe import models


def test_all_8762_perturbed_losses_of_the_toy_agree_with_its_backward():
    model = models.toy_classifier()
    x, y = normal(2, 8, 8, 3, seed=1), np.array([0, 4])
    report = mf.check_gradients(model, x, loss=mf.CrossEntropyLoss(), target=y)
    assert report.passed, report
    weights = [row for row in report.rows if row.name != "input"]
    assert 2 * sum(row.numeric.size for row in weights) == 8762
    assert sum(row.kinks for row in report.rows) <= 2
