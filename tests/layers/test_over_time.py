"""Convolution and pooling along time against three witnesses, with every option, and beside those of images."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def channels_first(a):
    return a.transpose(0, 2, 1).copy() if a.ndim == 3 else a


def channels_last(a):
    return a.transpose(0, 2, 1).copy() if a.ndim == 3 else a


LAYOUTS = dict(layout=channels_first, back=channels_last)

CONVOLUTIONS = {
    "3": (dict(kernel_size=3), (2, 7, 2)),
    "1": (dict(kernel_size=1), (2, 3, 2)),
    "as long as the sequence": (dict(kernel_size=5), (2, 5, 2)),
    "one step, batch of 1": (dict(kernel_size=1), (1, 1, 2)),
    "one step, padded": (dict(kernel_size=3, padding=1), (1, 1, 2)),
    "stride and padding": (dict(kernel_size=3, stride=2, padding=2), (2, 8, 2)),
    "a rest that no window reaches": (dict(kernel_size=2, stride=3), (2, 7, 2)),
    "dilation": (dict(kernel_size=3, dilation=2), (2, 9, 2)),
    "stride, dilation, groups": (dict(kernel_size=3, stride=2, dilation=2, padding=2, groups=2), (2, 9, 2)),
    "same": (dict(kernel_size=4, padding="same"), (2, 7, 2)),
    "same, dilation": (dict(kernel_size=3, padding="same", dilation=2), (2, 7, 2)),
    "valid, no bias": (dict(kernel_size=3, padding="valid", bias=False), (2, 7, 2)),
    "each channel on its own": (dict(kernel_size=3, groups=2, bias=False), (3, 6, 2)),
}


def convolution(options, channels=(2, 4)):
    mf.seed(0)
    return mf.Conv1d(*channels, **options)


def theirs(layer, options):
    bias = options.get("bias", True)
    rest = {key: value for key, value in options.items() if key not in ("kernel_size", "bias")}
    reference = torch.nn.Conv1d(layer.in_channels, layer.out_channels, options["kernel_size"], bias=bias, **rest)
    with torch.no_grad():
        reference.weight.copy_(torch.tensor(np.array(layer.weight.value).transpose(0, 2, 1)))
        if bias:
            reference.bias.copy_(torch.tensor(np.array(layer.bias.value)))
    weights = {"weight": (reference.weight, channels_last)}
    return reference, weights | ({"bias": (reference.bias, lambda a: a)} if bias else {})


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_agrees_with_three_witnesses(name, training):
    options, shape = CONVOLUTIONS[name]
    layer, x = convolution(options).train(training), normal(*shape)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    reference, weights = theirs(layer, options)
    by_torch(layer, reference, x, weights=weights, **LAYOUTS)


def test_many_channels_and_steps():
    layer = convolution(dict(kernel_size=5, padding=2), (40, 33))
    reference, weights = theirs(layer, dict(kernel_size=5, padding=2))
    by_torch(layer, reference, normal(9, 101, 40), weights=weights, **LAYOUTS)


@pytest.mark.parametrize("dilation", [1, 3])
def test_causal_padding_agrees_with_three_witnesses_and_never_sees_the_future(dilation):
    layer, x = convolution(dict(kernel_size=3, padding="causal", dilation=dilation)), normal(2, 7, 2)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    reference, weights = theirs(layer, dict(kernel_size=3, dilation=dilation))
    by_torch(layer, lambda t: reference(F.pad(t, (2 * dilation, 0))), x, weights=weights, **LAYOUTS)
    x = mx.array(x.astype(np.float32))
    changed = mx.concatenate([x[:, :4], x[:, 4:] + 1], axis=1)
    before, after = layer(x), layer(changed)
    assert before.shape == (2, 7, 4) and mx.array_equal(before[:, :4], after[:, :4])
    assert not mx.allclose(before[:, 4:], after[:, 4:])


def test_it_is_the_convolution_of_an_image_with_a_single_row():
    layer, image = convolution(dict(kernel_size=3, stride=2)), mf.Conv2d(2, 4, (1, 3), stride=(1, 2))
    image.weight.value, image.bias.value = layer.weight.value[:, None], layer.bias.value
    x = mx.array(normal(2, 9, 2).astype(np.float32))
    close(layer(x), image(x[:, None])[:, 0], 1e-6)


@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_any_window_passes_the_gradient_check(data):
    kernel, stride, dilation = (data.draw(st.integers(1, 3)) for _ in range(3))
    length = dilation * (kernel - 1) + 1 + data.draw(st.integers(0, 4))
    groups = data.draw(st.sampled_from([1, 2]))
    padding = data.draw(st.sampled_from([0, 1, "causal"]))
    layer = mf.Conv1d(2, 4, kernel, stride, padding, dilation, groups, bias=data.draw(st.booleans()))
    report = mf.check_gradients(layer, normal(data.draw(st.integers(1, 2)), length, 2))
    assert report.passed, report
    for pool in (mf.MaxPool1d, mf.AvgPool1d):
        report = mf.check_gradients(pool(kernel, stride, data.draw(st.integers(0, kernel // 2))), normal(1, length, 2))
        assert report.passed, report


# -------------------------------------------------------------------- pooling

POOLS = {
    "2": (dict(kernel_size=2), (2, 6, 3)),
    "2 on an odd length, batch of 1": (dict(kernel_size=2), (1, 7, 2)),
    "one step": (dict(kernel_size=1), (2, 1, 2)),
    "overlapping": (dict(kernel_size=3, stride=1), (2, 5, 2)),
    "overlapping, padding": (dict(kernel_size=3, stride=2, padding=1), (2, 6, 2)),
    "gaps": (dict(kernel_size=2, stride=4), (2, 9, 2)),
    "many channels": (dict(kernel_size=2), (2, 6, 17)),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("kind, reference", [("MaxPool1d", F.max_pool1d), ("AvgPool1d", F.avg_pool1d)])
def test_pooling_agrees_with_three_witnesses(name, kind, reference):
    options, shape = POOLS[name]
    layer, x = getattr(mf, kind)(**options), normal(*shape)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, lambda t: reference(t, **options), x, **LAYOUTS)


@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 1, 2), (3, 40, 1)])
def test_global_pooling_agrees_with_three_witnesses(shape):
    for layer, reference in (
        (mf.GlobalAvgPool1d(), lambda t: t.mean(dim=2)),
        (mf.GlobalMaxPool1d(), lambda t: t.max(dim=2).values),
    ):
        by_differences(layer, normal(*shape))
        by_mx_grad(layer, normal(*shape))
        by_torch(layer, reference, normal(*shape), **LAYOUTS)


def test_ties_go_to_the_first_step_as_in_pytorch():
    x = np.random.default_rng(0).integers(0, 2, size=(3, 9, 4)).astype(np.float64)  # full of ties
    by_torch(mf.MaxPool1d(3), lambda t: F.max_pool1d(t, 3), x, **LAYOUTS)
    by_torch(mf.GlobalMaxPool1d(), lambda t: F.adaptive_max_pool1d(t, 1)[:, :, 0], x, **LAYOUTS)


def test_padding_never_wins():
    layer = mf.MaxPool1d(3, stride=1, padding=1)
    assert layer(mx.full((1, 3, 1), -5.0)).reshape(-1).tolist() == [-5] * 3


# -------------------------------------------------------------------- in models


def test_a_layer_used_twice_gets_the_right_gradient():
    for layer in (mf.Conv1d(2, 2, 3, padding="same"), mf.MaxPool1d(2, stride=1), mf.AvgPool1d(2, stride=1)):
        by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(2, 5, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: mf.Conv1d(2, 3, 3, stride=2, padding=1),
        lambda: mf.Conv1d(2, 4, 2, groups=2, dilation=2),
        lambda: mf.MaxPool1d(2),
        lambda: mf.AvgPool1d(3, stride=1),
        mf.GlobalAvgPool1d,
        mf.GlobalMaxPool1d,
    ],
)
def test_views_give_the_same_as_copies(make):
    layer, base = make(), mx.array(normal(8, 6, 4).astype(np.float32))
    for view in (base.transpose(1, 0, 2)[::2, ::-1, ::2], mx.broadcast_to(base[:1, :, 1:3], (3, 6, 2)), base[:, :, 2:]):
        copy = mx.array(np.array(view))
        y = layer(view)
        close(y, layer(copy), 1e-6)
        grad = mx.broadcast_to(y[:1], y.shape)
        expected = layer.backward(mx.array(np.array(grad)))
        close(layer.backward(grad), expected, 1e-6)


@pytest.mark.parametrize("compile", [True, False])
def test_it_learns_to_find_a_pattern_wherever_it_is(compile):
    mf.seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 20, 1)) * 0.3, np.arange(200) % 2
    for k in range(1, 200, 2):
        at = rng.integers(0, 17)
        x[k, at : at + 3, 0] += [1, -1, 1]
    layers = mf.Conv1d(1, 4, 3, padding="causal"), mf.ReLU(), mf.MaxPool1d(2), mf.GlobalMaxPool1d(), mf.Linear(4, 2)
    model = mf.Sequential(*layers)
    options = dict(loss="cross_entropy", optimizer=mf.Adam(model, lr=0.03), epochs=15, batch_size=20, verbose=0)
    model.fit(x, y, metrics=["accuracy"], seed=0, compile=compile, **options)
    assert model.evaluate(x, y)["accuracy"] > 0.9


def test_summary_and_files_know_every_option(tmp_path):
    model = mf.Sequential(
        mf.Conv1d(2, 4, 3, stride=2, padding=2, dilation=2, groups=2, bias=False),
        mf.AvgPool1d(3, 1, 1),
        mf.MaxPool1d(2),
        mf.Conv1d(4, 4, 2, padding="causal"),
        mf.GlobalAvgPool1d(),
    )
    found = model.summary((12, 2))
    assert [row.output_shape for row in found.rows] == [(6, 4), (6, 4), (3, 4), (3, 4), (4,)]
    assert [row.parameters for row in found.rows] == [12, 0, 0, 36, 0]
    assert [row.multiply_adds for row in found.rows] == [6 * 4 * 3, 0, 0, 3 * 4 * 8, 0]
    assert model[0].title() == "Conv1d(2 -> 4, 3, stride 2, padding 2, dilation 2, groups 2, no bias)"
    assert [layer.title() for layer in list(model)[1:3]] == ["AvgPool1d(3, stride 1, padding 1)", "MaxPool1d(2)"]
    model.save(tmp_path / "model")
    x, loaded = mx.array(normal(3, 12, 2).astype(np.float32)), mf.load(tmp_path / "model")
    assert repr(loaded) == repr(model) and mx.array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    "use, error, message",
    [
        (lambda: mf.Conv1d(2, 3, 0), ValueError, "Conv1d: expected kernel_size as a number >= 1, got 0"),
        (lambda: mf.Conv1d(2, 3, (3, 3)), ValueError, r"Conv1d: expected kernel_size as a number >= 1, got \(3, 3\)"),
        (lambda: mf.Conv1d(2, 3, 3, groups=2), ValueError, "Conv1d: expected positive channel numbers that groups"),
        (lambda: mf.Conv1d(2, 3, 3, 2, "same"), ValueError, 'padding "same" keeps the length at stride 1, got'),
        (lambda: mf.Conv1d(2, 3, 3, padding="full"), ValueError, 'expected padding as a number, "same", "valid" or'),
        (lambda: mf.Conv1d(2, 3, 3)(mx.zeros((4, 2))), ValueError, r"\(4, 2\); a single sequence needs a batch axis"),
        (lambda: mf.Conv1d(2, 3, 3)(mx.zeros((4, 2, 9))), ValueError, r"features come last: x.swapaxes\(1, 2\)"),
        (lambda: mf.Conv1d(2, 3, 3)(mx.zeros((4, 2, 2))), ValueError, "a sequence of at least 3 steps"),
        (lambda: mf.Conv1d(2, 3, 3)(mx.zeros((4, 5, 2), mx.int32)), TypeError, "expected real numbers, got mlx"),
        (lambda: mf.MaxPool1d(2, padding=2), ValueError, "expected padding of at most half the window 2, got 2"),
        (lambda: mf.AvgPool1d(3)(mx.zeros((1, 2, 4))), ValueError, r"AvgPool1d\(3\): expected a sequence of at least"),
        (lambda: mf.GlobalMaxPool1d()(mx.zeros((1, 0, 4))), ValueError, "expected a sequence of at least 1 steps"),
        (lambda: mf.GlobalAvgPool1d()(mx.zeros((1, 4))), ValueError, r"expected input \(batch, time, channels\)"),
    ],
)  # fmt: skip
def test_unsuitable_windows_and_inputs_are_refused(use, error, message):
    with pytest.raises(error, match=message):
        use()
