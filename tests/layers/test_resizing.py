"""Padding and resampling against three witnesses."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def channels_first(a):
    return a.transpose(0, 3, 1, 2).copy()


def channels_last(a):
    return a.transpose(0, 2, 3, 1).copy()


CASES = {
    "ZeroPad2d": (mf.ZeroPad2d(1), lambda t: F.pad(t, (1, 1, 1, 1)), (2, 3, 4, 2)),
    "ZeroPad2d, four sides": (mf.ZeroPad2d((1, 0, 2, 3)), lambda t: F.pad(t, (1, 0, 2, 3)), (1, 3, 2, 3)),
    "AdaptiveAvgPool2d": (mf.AdaptiveAvgPool2d(3), lambda t: F.adaptive_avg_pool2d(t, 3), (2, 7, 5, 2)),
    "AdaptiveAvgPool2d, enlarging": (
        mf.AdaptiveAvgPool2d((4, 1)),
        lambda t: F.adaptive_avg_pool2d(t, (4, 1)),
        (1, 3, 6, 2),
    ),
    "Upsample2d nearest": (mf.Upsample2d(2), lambda t: F.interpolate(t, scale_factor=2), (2, 3, 4, 2)),
    "Upsample2d bilinear": (
        mf.Upsample2d((3, 2), mode="bilinear"),
        lambda t: F.interpolate(t, scale_factor=(3, 2), mode="bilinear"),
        (2, 3, 4, 2),
    ),
    "Upsample2d bilinear, one pixel": (
        mf.Upsample2d(2, mode="bilinear"),
        lambda t: F.interpolate(t, scale_factor=2, mode="bilinear"),
        (1, 1, 2, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_agrees_with_three_witnesses(name):
    layer, reference, shape = CASES[name]
    x = normal(*shape)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, layout=channels_first, back=channels_last)


@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(st.tuples(*[st.integers(1, 5)] * 2), st.tuples(*[st.integers(1, 4)] * 2))
def test_resampling_keeps_the_mean_of_a_constant_image(size, other):
    x = mx.full((1, *size, 2), 3.0)
    close(mf.AdaptiveAvgPool2d(other)(x), np.full((1, *other, 2), 3.0))
    for mode in ("nearest", "bilinear"):
        close(mf.Upsample2d(other, mode)(x), np.full((1, size[0] * other[0], size[1] * other[1], 2), 3.0))


def test_a_layer_used_twice_gets_the_right_gradient():
    for layer in (mf.ZeroPad2d(1), mf.Upsample2d(2), mf.AdaptiveAvgPool2d(3)):
        by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(1, 2, 3, 2))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(2, 6, 5, 4).astype(np.float32)).transpose(0, 2, 1, 3)[:, ::2, :, 1:]
    copy = mx.array(np.array(view))
    for layer, _, _ in CASES.values():
        close(layer(view), layer(copy), 1e-6)


def test_titles_name_the_settings():
    assert mf.ZeroPad2d((1, 0, 2, 3)).title() == "ZeroPad2d(left 1, right 0, top 2, bottom 3)"
    assert mf.AdaptiveAvgPool2d(7).title() == "AdaptiveAvgPool2d(7x7)"
    assert mf.Upsample2d((3, 2), "bilinear").title() == "Upsample2d(3x2, bilinear)"


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda: mf.ZeroPad2d((1, 2)), r"ZeroPad2d: expected one number >= 0 or \(left, right, top, bottom\)"),
        (lambda: mf.ZeroPad2d(-1), "ZeroPad2d: expected one number >= 0"),
        (lambda: mf.AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d: expected output_size as a number >= 1"),
        (lambda: mf.Upsample2d(2, "cubic"), "Upsample2d: expected mode"),
        (lambda: mf.Upsample2d(2)(mx.zeros((3, 3))), r"expected input \(batch, height, width, channels\)"),
    ],
)
def test_unsuitable_settings_and_inputs_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_repeated_pixels_are_exact_whatever_products_are():
    """To the last bit, for numbers that no product with rounded factors could give."""
    numbers = np.random.default_rng(0).normal(size=(2, 3, 5, 2)).astype(np.float32)
    layer = mf.Upsample2d((2, 3))
    expected = numbers.repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(np.array(layer(mx.array(numbers))), expected)
    np.testing.assert_allclose(np.array(layer.backward(mx.array(expected))), 6 * numbers, rtol=1e-6)
