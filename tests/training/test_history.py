"""Means over many batches."""

import mlx.core as mx

from miniframe.training.history import WAITING, Mean


def test_a_mean_over_many_batches_keeps_few_arrays():
    mean = Mean()
    for index in range(3 * WAITING + 5):
        mean.add(mx.array(float(index)), 1)
        assert len(mean._waiting) < WAITING
    assert mean.value() == (3 * WAITING + 4) / 2
