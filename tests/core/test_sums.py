"""Sums of many numbers agree with double precision."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.sums import BLOCK, LONG, mean, total


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, LONG, LONG + 1, 3 * LONG + 17, BLOCK**2 + 5, 5_000_000])
def test_a_sum_agrees_with_double_precision_to_1e_minus_6(size):
    x = np.random.default_rng(0).uniform(0.5, 1.5, size=size).astype(np.float32)
    expected = x.astype(np.float64).sum()
    assert total(mx.array(x)).item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_shapes_do_not_matter_and_means_are_the_same_sums():
    x = np.random.default_rng(1).normal(1, 1, size=(300, 7, 50)).astype(np.float32)
    assert total(mx.array(x)).item() == pytest.approx(x.astype(np.float64).sum(), rel=1e-6)
    assert mean(mx.array(x)).item() == pytest.approx(x.astype(np.float64).mean(), rel=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_over_ten_million_numbers_is_right(reduction):
    x = np.random.default_rng(2).uniform(0, 1, size=(10_000_000, 1)).astype(np.float32)
    value = mf.MSELoss(reduction=reduction)(mx.array(x), mx.zeros(x.shape)).item()
    squares = np.square(x.astype(np.float64))
    assert value == pytest.approx(squares.mean() if reduction == "mean" else squares.sum(), rel=1e-5)
