"""Pooling against three witnesses, the lesson's example, and the tie rule."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def channels_first(a):
    return a.transpose(0, 3, 1, 2).copy() if a.ndim == 4 else a


def channels_last(a):
    return a.transpose(0, 2, 3, 1).copy() if a.ndim == 4 else a


CASES = {
    "2": (dict(kernel_size=2), (2, 4, 6, 3)),
    "2 on odd sizes, batch of 1": (dict(kernel_size=2), (1, 5, 7, 2)),
    "3x2": (dict(kernel_size=(3, 2)), (2, 7, 5, 2)),
    "overlapping": (dict(kernel_size=3, stride=2), (2, 7, 8, 2)),
    "overlapping, padding": (dict(kernel_size=3, stride=2, padding=1), (2, 6, 7, 2)),
    "gaps": (dict(kernel_size=2, stride=(3, 4)), (1, 8, 9, 2)),
    "reaching over the edge": (dict(kernel_size=3, stride=2, ceil_mode=True), (2, 6, 8, 2)),
    "reaching, padding": (dict(kernel_size=3, stride=(2, 3), padding=1, ceil_mode=True), (1, 7, 9, 2)),
    "reaching, small": (dict(kernel_size=3, stride=2, ceil_mode=True), (1, 2, 4, 2)),
    "a last window that would begin outside": (dict(kernel_size=2, stride=3, padding=1, ceil_mode=True), (1, 4, 5, 2)),
    "stride 1": (dict(kernel_size=2, stride=1, padding=(1, 0)), (1, 3, 4, 2)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("layer, reference", [(mf.MaxPool2d, F.max_pool2d), (mf.AvgPool2d, F.avg_pool2d)])
def test_pooling_agrees_with_three_witnesses(name, layer, reference):
    options, shape = CASES[name]
    module, x = layer(**options), normal(*shape)
    by_differences(module, x)
    by_mx_grad(module, x)
    by_torch(module, lambda t: reference(t, **options), x, layout=channels_first, back=channels_last)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_means_without_the_padding_agree_with_three_witnesses(ceil_mode):
    options = dict(kernel_size=3, stride=2, padding=1, ceil_mode=ceil_mode, count_include_pad=False)
    module, x = mf.AvgPool2d(**options), normal(2, 6, 8, 2)
    by_differences(module, x)
    by_mx_grad(module, x)
    by_torch(module, lambda t: F.avg_pool2d(t, **options), x, layout=channels_first, back=channels_last)


def test_global_average_agrees_with_three_witnesses():
    layer, x = mf.GlobalAvgPool2d(), normal(2, 5, 3, 4)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, lambda t: t.mean(dim=(2, 3)), x, layout=channels_first, back=channels_last)


@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_pooling_passes_the_gradient_check_for_any_window(data):
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride = data.draw(pairs), data.draw(pairs)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    h, w = (k + data.draw(st.integers(0, 4)) for k in kernel)
    for layer in (mf.MaxPool2d, mf.AvgPool2d):
        report = mf.check_gradients(layer(kernel, stride, padding), normal(data.draw(st.integers(1, 2)), h, w, 2))
        assert report.passed, report


def test_max_pooling_of_the_lesson_and_its_gradient():
    layer, x = mf.MaxPool2d(2), mx.arange(16, dtype=mx.float32).reshape(1, 4, 4, 1)
    assert layer(x).reshape(2, 2).tolist() == [[5, 7], [13, 15]]
    grad = layer.backward(mx.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)).reshape(4, 4)
    assert grad.tolist() == [[0, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 0], [0, 3, 0, 4]]


@pytest.mark.parametrize("options", [dict(kernel_size=2), dict(kernel_size=3, stride=1, padding=1)])
def test_ties_go_to_the_first_pixel_as_in_pytorch(options):
    x = np.random.default_rng(0).integers(0, 2, size=(3, 6, 6, 2)).astype(np.float64)  # full of ties
    by_torch(
        mf.MaxPool2d(**options), lambda t: F.max_pool2d(t, **options), x, layout=channels_first, back=channels_last
    )


def test_padding_never_wins():
    x = mx.full((1, 2, 2, 1), -5.0)
    layer = mf.MaxPool2d(3, stride=1, padding=1)
    assert layer(x).reshape(-1).tolist() == [-5] * 4
    assert layer.backward(mx.ones((1, 2, 2, 1))).sum().item() == 4


def test_extreme_inputs_stay_finite():
    x = mx.array([[-np.inf, -1e30], [1e30, 0.0]], dtype=mx.float32).reshape(1, 2, 2, 1)
    layer = mf.MaxPool2d(2)
    close(layer(x), [[[[1e30]]]])
    assert layer.backward(mx.ones((1, 1, 1, 1))).reshape(-1).tolist() == [0, 0, 1, 0]


def test_a_layer_used_twice_gets_the_right_gradient():
    for layer in (mf.MaxPool2d(2, stride=1), mf.AvgPool2d(2, stride=1)):
        by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(1, 4, 5, 2))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(2, 8, 6, 4).astype(np.float32)).transpose(0, 2, 1, 3)[:, ::-1, :, ::2]
    copy = mx.array(np.array(view))
    for layer in (mf.MaxPool2d(2), mf.AvgPool2d(2), mf.GlobalAvgPool2d()):
        strided, contiguous = layer(view), layer(copy)
        close(strided, contiguous, 1e-6)
        assert mx.array_equal(layer.backward(strided), layer.backward(contiguous))


def test_titles_name_the_window():
    assert mf.MaxPool2d(2).title() == "MaxPool2d(2x2)"
    assert mf.AvgPool2d((3, 2), stride=2, padding=1).title() == "AvgPool2d(3x2, stride 2x2, padding 1x1)"
    assert mf.MaxPool2d(3, 2, ceil_mode=True).title() == "MaxPool2d(3x3, stride 2x2, ceil_mode)"
    assert mf.AvgPool2d(2, count_include_pad=False).title() == "AvgPool2d(2x2, padding not counted)"


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda: mf.MaxPool2d(0), "MaxPool2d: expected kernel_size as a number >= 1"),
        (lambda: mf.AvgPool2d(2, padding=2), "AvgPool2d: expected padding of at most half the window"),
        (lambda: mf.MaxPool2d(3)(mx.zeros((1, 2, 8, 1))), "expected an image of at least 3x3 pixels"),
        (lambda: mf.MaxPool2d(2)(mx.zeros((8, 8, 1))), r"expected input \(batch, height, width, channels\)"),
        (lambda: mf.GlobalAvgPool2d()(mx.zeros((8, 8))), r"expected input \(batch, height, width, channels\)"),
    ],
)
def test_unsuitable_windows_and_inputs_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()
