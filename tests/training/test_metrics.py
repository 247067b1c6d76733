"""Metrics and how they are named."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe import metrics


def test_accuracy_reads_class_numbers_one_hot_rows_and_single_columns():
    scores = mx.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert metrics.accuracy(scores, mx.array([1, 1, 1])).tolist() == [1, 0, 1]
    assert metrics.accuracy(scores, mf.one_hot([1, 1, 1], 2)).tolist() == [1, 0, 1]
    column = mx.array([[0.4], [0.6]])
    assert metrics.accuracy(column, mx.array([[0], [0]])).tolist() == [1, 0]
    assert metrics.accuracy(column, mx.array([0.0, 1.0]), threshold=0.7).tolist() == [1, 0]
    assert metrics.error_rate(scores, mx.array([1, 1, 1])).tolist() == [0, 1, 0]


def test_mae_and_mse():
    p, t = mx.array([[1.0, 3.0]]), mx.array([[0.0, 0.0]])
    assert metrics.mae(p, t).item() == 2 and metrics.mse(p, t).item() == 5


def test_logit_losses_put_the_threshold_at_zero():
    model = mf.Linear(1, 1)
    model.weight.value, model.bias.value = mx.array([[1.0]]), mx.array([0.0])
    x, y = np.array([[-1.0], [0.25], [2.0]]), np.array([[0.0], [1.0], [1.0]])
    assert model.evaluate(x, y, loss="bce_with_logits", metrics=["accuracy"])["accuracy"] == 1
    assert model.evaluate(x, y, loss="mse", metrics=["accuracy"])["accuracy"] == pytest.approx(2 / 3)


def test_a_metric_that_returns_nonsense_is_named():
    model = mf.Linear(1, 1)
    with pytest.raises(TypeError, match="metric 'words': expected a number or an array, got str"):

        def words(prediction, target):
            return "good"

        model.evaluate([[1.0]], [[1.0]], loss="mse", metrics=[words])


@pytest.mark.parametrize("name", ["mae", "mse", "accuracy"])
def test_metrics_of_very_many_numbers_agree_with_double_precision(name):
    far = np.random.default_rng(0).random(500_000, dtype=np.float32)
    expected = {"mae": far, "mse": np.square(far), "accuracy": far <= 0.5}[name].mean(dtype=np.float64)
    found = float(metrics.measure(name, metrics.NAMES[name], mx.array(far), mx.zeros(far.shape)))
    assert abs(found / expected - 1) < 1e-6
