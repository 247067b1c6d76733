"""From what the user has to MLX arrays."""

import mlx.core as mx
import numpy as np
import pytest
import torch

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
    with pytest.raises(ValueError, match=r"labels in 0..2, got 3 at \[0\]$"):
        mf.one_hot([3, -1], 3)
    with pytest.raises(TypeError, match="integer labels, got float32"):
        mf.one_hot([0.5], 2)


@pytest.mark.parametrize(
    "data, words",
    [
        (3_000_000_000, "int32, got 3000000000"),
        ([1, 2**32 + 1], r"int32, got 4294967297 at \[1\]"),
        (np.array([[2**40]], np.uint64), r"int32, got 1099511627776 at \[0, 0\]"),
        (np.array([2**31], np.uint32), r"int32, got 2147483648 at \[0\]"),
        (-(2**70), "int32, got -1180591620717411303424"),
        (1e300, r"float32, got 1e\+300"),
        (np.array([np.inf, -1e39]), r"float32, got -1e\+39 at \[1\]"),
    ],
)
def test_numbers_that_do_not_fit_are_named_with_their_place(data, words):
    with pytest.raises(ValueError, match=f"^as_array: expected numbers that fit into {words}$"):
        mf.as_array(data)


def test_the_largest_numbers_that_fit_and_infinities_pass():
    ends = [-(2**31), 2**31 - 1]
    assert mf.as_array(ends).tolist() == ends
    assert mf.as_array(np.array(ends[1:], np.uint64)).tolist() == ends[1:]
    assert mf.as_array([np.inf, -np.inf]).tolist() == [np.inf, -np.inf]
    assert mf.as_array(np.finfo(np.float32).max).item() == np.finfo(np.float32).max


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.int64, np.float16, np.float32, np.float64])
def test_views_of_every_kind_are_read_in_their_order(kind):
    numbers = np.arange(24).reshape(4, 6).astype(kind)
    for view in (numbers[::-1], numbers.T, numbers[::2, ::-3], np.broadcast_to(numbers[:1], (3, 6)), numbers[2, 3]):
        assert mf.as_array(view).tolist() == view.tolist()


def test_a_tensor_of_short_floats_is_widened():
    found = mf.as_array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16, requires_grad=True))
    assert found.dtype == mx.float32 and found.tolist() == [1.5, -2.0]
