"""Cells: values and gradients keep their shape, and what is given stays as it is."""

import mlx.core as mx
import pytest

import miniframe as mf


def test_values_and_gradients_keep_their_shape():
    p = mf.Parameter(mx.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"Parameter: expected a value of shape \(2, 3\), got \(3, 2\)"):
        p.value = mx.zeros((3, 2))
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(2, 3\), got \(3, 2\) \(transposed\?\)"):
        p.accumulate(mx.zeros((3, 2)))


def test_accumulating_does_not_change_the_array_that_was_given():
    p, grad = mf.Parameter(mx.zeros((2,))), mx.ones((2,))
    p.accumulate(grad)
    p.accumulate(grad)
    assert grad.tolist() == [1, 1] and p.grad.tolist() == [2, 2]
