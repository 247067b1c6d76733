"""Means over many batches."""

import math

import mlx.core as mx

from miniframe.training.history import WAITING, Mean, mean_or_sum


def test_a_mean_over_many_batches_keeps_few_arrays():
    class Loss:
        """A number that counts how many of its kind are kept."""

        kept = 0

        def __init__(self, value):
            self.value = value
            Loss.kept += 1

        def __float__(self):
            return float(self.value)

        def __del__(self):
            Loss.kept -= 1

    mean, most = Mean(), 0
    for index in range(3 * WAITING + 5):
        mean.add(Loss(index), 1)
        most = max(most, Loss.kept)
    assert mean.value() == (3 * WAITING + 4) / 2
    assert 0 < most <= WAITING and Loss.kept == 0


def test_batches_count_by_their_samples_and_nothing_is_no_number():
    mean = Mean(mx.array(1.0), 30)
    mean.add(2.0, 10)
    assert mean.value() == 1.25 and mean.sums() == [50, 40]
    assert math.isnan(Mean().value())


def test_a_summed_loss_is_the_sum_over_the_samples_in_whatever_batches_they_came():
    for batches in ([(6.0, 3)], [(1.0, 1), (5.0, 2)], [(mx.array(1.0), 1), (2.0, 1), (3.0, 1)]):
        found = mean_or_sum("sum")
        assert math.isnan(found.value())
        for total, samples in batches:
            found.add(total, samples)
        assert found.value() == 6
    assert type(mean_or_sum("mean")) is Mean
