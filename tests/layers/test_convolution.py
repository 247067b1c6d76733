"""Convolutions against three witnesses, the lesson's examples, and what they refuse."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def channels_first(a):
    return a.transpose(0, 3, 1, 2).copy() if a.ndim == 4 else a


def channels_last(a):
    return a.transpose(0, 2, 3, 1).copy() if a.ndim == 4 else a


def torch_twin(layer, module, transposed=False):
    """The PyTorch module with the layer's numbers, and where its gradients are found."""
    to_torch = (3, 0, 1, 2) if transposed else (0, 3, 1, 2)
    from_torch = (1, 2, 3, 0) if transposed else (0, 2, 3, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(np.array(layer.weight.value)).permute(to_torch))
        if layer.bias is not None:
            module.bias.copy_(torch.tensor(np.array(layer.bias.value)))
    weights = {"weight": (module.weight, lambda a: a.transpose(from_torch))}
    if layer.bias is not None:
        weights["bias"] = (module.bias, lambda a: a)
    return weights


def three_witnesses(layer, module, x, transposed=False):
    by_differences(layer, x)
    by_mx_grad(layer, x)
    weights = torch_twin(layer, module, transposed)
    by_torch(layer, module, x, weights=weights, layout=channels_first, back=channels_last)


CASES = {
    "plain": (dict(in_channels=2, out_channels=3, kernel_size=3), (2, 6, 5, 2)),
    "batch of 1, one channel": (dict(in_channels=1, out_channels=1, kernel_size=2), (1, 3, 4, 1)),
    "1x1": (dict(in_channels=3, out_channels=2, kernel_size=1), (2, 3, 4, 3)),
    "no bias": (dict(in_channels=2, out_channels=3, kernel_size=3, bias=False), (2, 5, 5, 2)),
    "stride": (dict(in_channels=2, out_channels=3, kernel_size=3, stride=2), (2, 8, 7, 2)),
    "stride larger than the window": (dict(in_channels=2, out_channels=3, kernel_size=2, stride=3), (1, 9, 8, 2)),
    "stride of two numbers": (dict(in_channels=2, out_channels=2, kernel_size=3, stride=(1, 2)), (2, 5, 8, 2)),
    "padding": (dict(in_channels=2, out_channels=3, kernel_size=3, padding=1), (2, 5, 4, 2)),
    "padding of two numbers": (dict(in_channels=2, out_channels=1, kernel_size=3, padding=(2, 1)), (2, 5, 4, 2)),
    "same, odd": (dict(in_channels=2, out_channels=3, kernel_size=(3, 5), padding="same"), (1, 4, 5, 2)),
    "same, even": (dict(in_channels=2, out_channels=3, kernel_size=(2, 4), padding="same"), (1, 4, 5, 2)),
    "valid": (dict(in_channels=2, out_channels=3, kernel_size=(2, 4), padding="valid"), (1, 4, 5, 2)),
    "dilation": (dict(in_channels=2, out_channels=3, kernel_size=3, dilation=2), (2, 7, 6, 2)),
    "dilation and same": (
        dict(in_channels=2, out_channels=3, kernel_size=3, dilation=(1, 2), padding="same"),
        (1, 5, 6, 2),
    ),
    "groups": (dict(in_channels=4, out_channels=6, kernel_size=3, groups=2), (2, 5, 4, 4)),
    "each channel on its own": (dict(in_channels=3, out_channels=3, kernel_size=3, groups=3, padding=1), (2, 4, 5, 3)),
    "all at once": (
        dict(in_channels=4, out_channels=2, kernel_size=(3, 2), stride=(2, 3), padding=(1, 1), dilation=2, groups=2),
        (2, 8, 9, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_conv2d_agrees_with_three_witnesses(name):
    options, shape = CASES[name]
    three_witnesses(mf.Conv2d(**options), torch.nn.Conv2d(**options), normal(*shape))


TRANSPOSED = {
    "plain": (dict(kernel_size=3), (2, 4, 5)),
    "batch of 1, no bias": (dict(kernel_size=2, bias=False), (1, 3, 4)),
    "doubling": (dict(kernel_size=2, stride=2), (2, 3, 4)),
    "padding": (dict(kernel_size=4, stride=2, padding=1), (1, 4, 3)),
    "output padding": (dict(kernel_size=3, stride=2, padding=1, output_padding=1), (2, 3, 3)),
    "output padding beyond the stride": (dict(kernel_size=2, padding=1, output_padding=1, dilation=2), (2, 3, 4)),
    "output padding beyond the padding": (
        dict(kernel_size=(2, 3), stride=(2, 1), padding=(0, 2), output_padding=(4, 3), dilation=(5, 4), bias=False),
        (1, 2, 3),
    ),
    "all at once": (
        dict(kernel_size=(3, 2), stride=(3, 2), padding=(1, 0), output_padding=(2, 1), dilation=2),
        (2, 3, 4),
    ),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose2d_agrees_with_three_witnesses(name):
    options, (n, h, w) = TRANSPOSED[name]
    three_witnesses(
        mf.ConvTranspose2d(3, 2, **options), torch.nn.ConvTranspose2d(3, 2, **options), normal(n, h, w, 3), True
    )


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_conv2d_passes_the_gradient_check_for_any_shape(data):
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = data.draw(pairs), data.draw(pairs), data.draw(pairs)
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    groups, c, o = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    h, w = (n + data.draw(st.integers(0, 3)) for n in least)
    layer = mf.Conv2d(groups * c, groups * o, kernel, stride, padding, dilation, groups, bias=data.draw(st.booleans()))
    report = mf.check_gradients(layer, normal(data.draw(st.integers(1, 2)), h, w, groups * c))
    assert report.passed, report


def test_sizes_of_the_lesson():
    assert mf.Conv2d(1, 1, 3)(mx.zeros((1, 7, 7, 1))).shape == (1, 5, 5, 1)
    assert mf.Conv2d(3, 7, 3)(mx.zeros((5, 50, 50, 3))).shape == (5, 48, 48, 7)
    assert mf.Conv2d(3, 7, 3, padding=1)(mx.zeros((5, 50, 50, 3))).shape == (5, 50, 50, 7)
    assert mf.Conv2d(3, 7, 3, padding="same")(mx.zeros((5, 50, 50, 3))).shape == (5, 50, 50, 7)


SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=np.float32)  # answers to vertical edges


def sobel():
    layer = mf.Conv2d(1, 2, 3, bias=False)
    layer.weight.value = mx.array(np.stack([SOBEL, SOBEL.T])[..., None])
    return layer.freeze()


def test_sobel_filters_find_vertical_and_horizontal_edges():
    square = np.zeros((1, 9, 9, 1), dtype=np.float32)
    square[0, 3:6, 3:6] = 1
    vertical, horizontal = np.moveaxis(np.array(sobel()(mx.array(square)))[0], -1, 0)
    assert vertical[3].tolist() == [0, -4, -4, 0, 4, 4, 0]  # across the square: its left and right sides
    assert horizontal[:, 3].tolist() == [0, -4, -4, 0, 4, 4, 0]  # down the square: its upper and lower sides
    assert vertical[:, 3].tolist() == [0] * 7 and horizontal[3].tolist() == [0] * 7


def test_sobel_filters_can_be_learned_back_from_their_output():
    x = mx.array(normal(32, 8, 8, 1).astype(np.float32))
    learner = mf.Conv2d(1, 2, 3, bias=False)
    optimizer = mf.SGD(learner, lr=0.2, momentum=0.9)
    learner.fit(x, sobel()(x), loss="mse", optimizer=optimizer, epochs=60, batch_size=8, verbose=0, compile=False)
    close(learner.weight.value, sobel().weight.value, 1e-3)


def test_a_layer_accepts_images_of_any_size():
    model = mf.Sequential(mf.Conv2d(3, 4, 3, stride=2), mf.ReLU(), mf.Conv2d(4, 2, 3, padding=1))
    for h, w in ((7, 9), (30, 20)):
        y = model(mx.zeros((2, h, w, 3)))
        assert y.shape == (2, (h - 1) // 2, (w - 1) // 2, 2)
        assert model.backward(y).shape == (2, h, w, 3)


def test_a_layer_used_twice_gets_both_gradients():
    layer = mf.Conv2d(2, 2, 3, padding=1)
    by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(2, 4, 5, 2))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    layer = mf.Conv2d(2, 3, 3)
    view = mx.array(normal(2, 10, 6, 4).astype(np.float32)).transpose(0, 2, 1, 3)[:, :, ::2, 1:3]
    copy = mx.array(np.array(view))
    results = []
    for x in (view, copy):
        layer.zero_grad()
        y = layer(x)
        results.append((y, layer.backward(mx.ones_like(y)), layer.weight.grad))
    for strided, contiguous in zip(*results):
        close(strided, contiguous, 1e-6)


def test_double_precision_is_double():
    layer = mf.Conv2d(3, 2, 3)
    x = normal(1, 6, 6, 3)
    w, b = normal(2, 3, 3, 3), np.zeros(2)
    with mx.stream(mx.cpu):
        layer.weight.value, layer.bias.value = mx.array(w, dtype=mx.float64), mx.array(b, dtype=mx.float64)
        y = layer(mx.array(x, dtype=mx.float64))
        expected = torch.nn.functional.conv2d(torch.tensor(channels_first(x)), torch.tensor(channels_first(w)))
        close(y, channels_last(expected.numpy()), 1e-13)


def test_summary_counts_multiply_adds():
    row = mf.Conv2d(3, 64, 3, padding=1).summary((224, 224, 3)).rows[0]
    assert (row.parameters, row.multiply_adds, row.output_shape) == (1792, 86_704_128, (224, 224, 64))
    grouped = mf.Conv2d(4, 8, 3, groups=2).summary((5, 5, 4)).rows[0]
    assert grouped.multiply_adds == 3 * 3 * 8 * 3 * 3 * 2
    assert mf.ConvTranspose2d(3, 2, 2, stride=2).summary((4, 5, 3)).rows[0].multiply_adds == 4 * 5 * 3 * 2 * 2 * 2


def test_titles_name_what_is_unusual():
    assert mf.Conv2d(3, 7, 3).title() == "Conv2d(3 -> 7, 3x3)"
    layer = mf.Conv2d(4, 6, (3, 1), stride=2, padding=1, dilation=2, groups=2, bias=False)
    assert layer.title() == "Conv2d(4 -> 6, 3x1, stride 2x2, padding 1, dilation 2x2, groups 2, no bias)"
    transposed = mf.ConvTranspose2d(3, 2, 2, stride=2, padding=1, output_padding=1, dilation=3, bias=False)
    assert transposed.title() == (
        "ConvTranspose2d(3 -> 2, 2x2, stride 2x2, padding 1x1, output padding 1x1, dilation 3x3, no bias)"
    )


@pytest.mark.parametrize(
    "shape, message",
    [
        ((2, 3, 8, 8), r"expected input \(batch, height, width, 3\), got \(2, 3, 8, 8\); images are channels-last"),
        ((8, 8, 3), r"expected input .*, got \(8, 8, 3\); a single image needs a batch axis"),
        ((2, 8, 8, 4), r"Conv2d\(3 -> 2, 5x5\): expected input \(batch, height, width, 3\), got \(2, 8, 8, 4\)"),
        ((2, 8, 4, 3), r"expected an image of at least 5x5 pixels with its padding, got \(2, 8, 4, 3\)"),
    ],
)
def test_unsuitable_inputs_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        mf.Conv2d(3, 2, 5)(mx.zeros(shape))


def test_integers_are_refused():
    with pytest.raises(TypeError, match="expected real numbers"):
        mf.Conv2d(1, 1, 1)(mx.zeros((1, 2, 2, 1), dtype=mx.int32))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: mf.Conv2d(0, 1, 3), "channels as a whole number of at least 1, got 0"),
        (lambda: mf.Conv2d(3, 4, 3, groups=2), "that groups divides, got in=3, out=4, groups=2"),
        (lambda: mf.Conv2d(1, 1, 0), "expected kernel_size as a number >= 1 or a pair of them, got 0"),
        (lambda: mf.Conv2d(1, 1, (1, 2, 3)), "expected kernel_size"),
        (lambda: mf.Conv2d(1, 1, 3, padding=-1), "expected padding as a number >= 0"),
        (lambda: mf.Conv2d(1, 1, 3, padding="full"), 'expected padding as a number, a pair, "same" or "valid"'),
        (lambda: mf.Conv2d(1, 1, 3, stride=2, padding="same"), 'padding "same" keeps the size at stride 1'),
        (lambda: mf.ConvTranspose2d(1, 0, 3), "channels as a whole number of at least 1, got 0"),
        (lambda: mf.ConvTranspose2d(1, 1, 3, stride=2, output_padding=2), r"expected output_padding < \(2, 2\)"),
        (lambda: mf.ConvTranspose2d(1, 1, 3, padding=2)(mx.zeros((1, 2, 2, 1))), "larger than what the padding cuts"),
    ],
)
def test_unsuitable_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [mf.Conv2d(1, 2, 3), mf.ConvTranspose2d(1, 2, 3), mf.MaxPool2d(2)], ids=repr)
@pytest.mark.parametrize("shape", [(0, 5, 5, 1), (2, 0, 5, 1)])
def test_no_images_are_an_error_in_our_words(layer, shape):
    with pytest.raises(ValueError, match=r"expected at least one image with pixels, got .*\(\d, \d, 5, 1\)"):
        layer(mx.zeros(shape))
