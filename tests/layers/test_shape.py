"""Flatten and Reshape."""

import mlx.core as mx
import pytest
from harness import by_differences, by_mx_grad, by_torch, normal

import miniframe as mf


@pytest.mark.parametrize(
    "layer, reference, shape",
    [
        (mf.Flatten(), lambda x: x.flatten(1), (3, 2, 5, 1)),
        (mf.Flatten(), lambda x: x.flatten(1), (1, 4)),
        (mf.Reshape(4, -1), lambda x: x.reshape(-1, 4, 3), (2, 12)),
        (mf.Reshape(6), lambda x: x.reshape(-1, 6), (3, 2, 3)),
    ],
)
def test_gradients_agree_with_three_witnesses(layer, reference, shape):
    by_differences(layer, normal(*shape))
    by_mx_grad(layer, normal(*shape))
    by_torch(layer, reference, normal(*shape))


def test_samples_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match=r"Reshape\(5, -1\): expected input .* got \(2, 12\)"):
        mf.Reshape(5, -1)(mx.zeros((2, 12)))
    with pytest.raises(ValueError, match=r"Reshape\(5\): expected input .* got \(2, 6\)"):
        mf.Reshape(5)(mx.zeros((2, 6)))
    with pytest.raises(ValueError, match=r"Flatten\(\): expected input \(batch, ...\), got \(3,\)"):
        mf.Flatten()(mx.zeros((3,)))
    with pytest.raises(ValueError, match="at most one -1"):
        mf.Reshape(-1, -1)
