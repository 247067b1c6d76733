"""Dropout drops the right share, keeps the mean, and uses one mask for both directions."""

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, by_mx_grad, close, normal

import miniframe as mf


def test_gradient_agrees_with_the_differences_in_both_modes():
    for layer in (mf.Dropout(0.3), mf.Dropout(0.3).eval(), mf.Dropout(0.0)):
        by_differences(layer, normal(6, 5))
        by_mx_grad(layer, normal(6, 5))


def test_backward_uses_the_mask_of_forward():
    layer = mf.Dropout(0.5)
    y = np.array(layer(mx.ones((50, 50))))
    close(layer.backward(mx.ones((50, 50))), y)


def test_drops_a_share_p_and_keeps_the_mean():
    y = np.array(mf.Dropout(0.2)(mx.ones((400, 400))))
    assert abs((y == 0).mean() - 0.2) < 0.01
    assert abs(y.mean() - 1) < 0.01


def test_two_calls_draw_two_masks_and_a_seed_repeats_them():
    layer, x = mf.Dropout(0.5), mx.ones((20, 20))
    mf.seed(1)
    first, second = layer(x), layer(x)
    assert not mx.array_equal(first, second)
    mf.seed(1)
    assert mx.array_equal(first, layer(x))


def test_evaluation_mode_is_the_identity():
    x = mx.array(normal(3, 4).astype(np.float32))
    assert mx.array_equal(mf.Dropout(0.9).eval()(x), x)


@pytest.mark.parametrize("p", [-0.1, 1.0, 2])
def test_p_must_be_a_probability_below_one(p):
    with pytest.raises(ValueError, match=r"Dropout: expected a probability 0 <= p < 1"):
        mf.Dropout(p)
