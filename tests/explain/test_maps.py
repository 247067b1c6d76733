"""Filters as pictures."""

import numpy as np
import pytest
from harness import close

import miniframe as mf
from miniframe import explain


@pytest.fixture
def model():
    return mf.Sequential(
        {
            "conv1": mf.Conv2d(3, 4, 3, padding=1),
            "relu1": mf.ReLU(),
            "pool": mf.MaxPool2d(2),
            "block": mf.Sequential(mf.Conv2d(4, 5, 3, padding=1), mf.BatchNorm(5), mf.ReLU()),
            "drop": mf.Dropout(0.5),
            "mean": mf.GlobalAvgPool2d(),
            "last": mf.Linear(5, 3),
        }
    )


def test_filters_are_scaled_to_pictures(model):
    pictures = np.array(explain.filters(model, "conv1"))
    assert pictures.shape == (4, 3, 3, 3)
    assert (pictures.min(axis=(1, 2, 3)) == 0).all()
    close(pictures.max(axis=(1, 2, 3)), np.ones(4))
