"""From what the user has to MLX arrays."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf


def test_kinds_of_numbers_become_float32_int32_or_stay():
    assert mf.as_array(np.zeros(2)).dtype == mx.float32
    assert mf.as_array(np.zeros(2, np.int64)).dtype == mx.int32
    assert mf.as_array([True]).dtype == mx.bool_
    wide = mx.array(np.zeros(2), dtype=mx.float64)
    assert mf.as_array(wide) is wide
    with pytest.raises(TypeError, match="expected numbers, got list of dtype <U1"):
        mf.as_array(["a"])


def test_one_hot_refuses_what_is_not_a_label():
    assert mf.one_hot(np.array([[0], [1]]), 2).shape == (2, 1, 2)
    with pytest.raises(ValueError, match=r"labels in 0..2, got -1..3"):
        mf.one_hot([3, -1], 3)
    with pytest.raises(TypeError, match="integer labels, got float32"):
        mf.one_hot([0.5], 2)
