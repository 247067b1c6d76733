"""Normalization layers against three witnesses, in both modes, and PyTorch's running statistics."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


def channels_first(a):
    return np.moveaxis(a, -1, 1).copy()


def channels_last(a):
    return np.moveaxis(a, 1, -1).copy()


def unchanged(a):
    return a


def with_random_parameters(layer):
    """γ and β away from 1 and 0, running statistics away from 0 and 1."""
    for seed, parameter in enumerate(layer.parameters()):
        parameter.value = mx.array((1 + 0.5 * normal(*parameter.shape, seed=seed)).astype(np.float32))
    for seed, buffer in enumerate(layer.buffers(), start=5):
        buffer.value = mx.array((1 + 0.1 * normal(*buffer.shape, seed=seed)).astype(np.float32))
    return layer


def torch_twin(layer, module):
    """The PyTorch module with the layer's numbers, and where its gradients are found."""
    with torch.no_grad():
        for name, cell in (*layer.named_parameters(), *layer.named_buffers()):
            getattr(module, name).copy_(torch.tensor(np.array(cell.value)))
    module.train(layer.training)
    return {name: (getattr(module, name), unchanged) for name, _ in layer.named_parameters()}


CASES = {
    "BatchNorm 1d": (lambda: mf.BatchNorm(4), lambda: torch.nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm of sequences": (lambda: mf.BatchNorm(4), lambda: torch.nn.BatchNorm1d(4), (2, 3, 4)),
    "BatchNorm 2d": (lambda: mf.BatchNorm(3), lambda: torch.nn.BatchNorm2d(3), (2, 4, 3, 3)),
    "BatchNorm 2d, batch of 1": (lambda: mf.BatchNorm(2), lambda: torch.nn.BatchNorm2d(2), (1, 3, 5, 2)),
    "BatchNorm, other settings": (
        lambda: mf.BatchNorm(3, eps=0.1, momentum=0.7),
        lambda: torch.nn.BatchNorm2d(3, eps=0.1, momentum=0.7),
        (2, 2, 3, 3),
    ),
    "BatchNorm, not affine": (
        lambda: mf.BatchNorm(3, affine=False),
        lambda: torch.nn.BatchNorm2d(3, affine=False),
        (2, 4, 3, 3),
    ),
    "LayerNorm": (lambda: mf.LayerNorm(5), lambda: torch.nn.LayerNorm(5), (3, 5)),
    "LayerNorm of sequences": (lambda: mf.LayerNorm(5), lambda: torch.nn.LayerNorm(5), (1, 4, 5)),
    "LayerNorm over two axes": (lambda: mf.LayerNorm((4, 5)), lambda: torch.nn.LayerNorm((4, 5)), (2, 3, 4, 5)),
    "LayerNorm, no bias": (lambda: mf.LayerNorm(5, bias=False), lambda: torch.nn.LayerNorm(5, bias=False), (3, 5)),
    "LayerNorm, not affine": (
        lambda: mf.LayerNorm(5, eps=0.1, affine=False),
        lambda: torch.nn.LayerNorm(5, eps=0.1, elementwise_affine=False),
        (3, 5),
    ),
    "GroupNorm": (lambda: mf.GroupNorm(2, 6), lambda: torch.nn.GroupNorm(2, 6), (2, 3, 4, 6)),
    "GroupNorm, one group": (lambda: mf.GroupNorm(1, 3), lambda: torch.nn.GroupNorm(1, 3), (1, 3, 2, 3)),
    "GroupNorm, one channel each": (lambda: mf.GroupNorm(3, 3), lambda: torch.nn.GroupNorm(3, 3), (2, 3, 4, 3)),
    "GroupNorm, not affine": (
        lambda: mf.GroupNorm(2, 4, affine=False),
        lambda: torch.nn.GroupNorm(2, 4, affine=False),
        (2, 3, 2, 4),
    ),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_agrees_with_three_witnesses(name, training):
    make, make_reference, shape = CASES[name]
    # seed 0 is the upstream gradient's: an input parallel to it would have almost no gradient here
    layer, x = with_random_parameters(make()).train(training), 3 + 2 * normal(*shape, seed=7)
    reference = make_reference()
    weights = torch_twin(layer, reference)
    last = name.startswith("LayerNorm")
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(
        layer,
        reference,
        x,
        weights=weights,
        layout=unchanged if last else channels_first,
        back=unchanged if last else channels_last,
    )


@hypothesis.settings(max_examples=15, deadline=None, derandomize=True)
@hypothesis.given(st.lists(st.integers(1, 3), min_size=0, max_size=2), st.integers(1, 3), st.integers(1, 1000))
def test_any_shape_passes_the_gradient_check(middle, channels, seed):
    # of two features there is hardly a gradient: x̂ is always -1 and 1
    x = normal(5, *middle, 4 * channels, seed=seed)
    for layer in (mf.BatchNorm(4 * channels), mf.LayerNorm(4 * channels), mf.GroupNorm(1, 4 * channels)):
        report = mf.check_gradients(layer, x)
        assert report.passed, report


def test_running_statistics_follow_the_batches_as_in_pytorch():
    layer, reference = mf.BatchNorm(3, momentum=0.3), torch.nn.BatchNorm2d(3, momentum=0.3)
    for seed in range(3):
        x = (seed + normal(2, 4, 5, 3, seed=seed)).astype(np.float32)
        close(layer(mx.array(x)), channels_last(reference(torch.tensor(channels_first(x))).detach().numpy()))
    close(layer.running_mean.value, reference.running_mean.numpy())
    close(layer.running_var.value, reference.running_var.numpy())
    before = layer.running_mean.value
    layer.eval()(mx.array(x))
    assert mx.array_equal(layer.running_mean.value, before)


def test_running_statistics_are_buffers_that_a_compiled_fit_updates():
    x, y = mx.array(normal(64, 3).astype(np.float32)), mx.array(normal(64, 1, seed=1).astype(np.float32))
    found = []
    for compile in (False, True):
        mf.seed(0)
        model = mf.Sequential(mf.Linear(3, 4), mf.BatchNorm(4), mf.Linear(4, 1))
        options = dict(loss="mse", epochs=2, batch_size=16, seed=0, verbose=0)
        model.fit(x, y, optimizer=mf.SGD(model, lr=0.1), compile=compile, **options)
        found.append(dict(model.named_buffers()))
    assert list(found[0]) == ["1.running_mean", "1.running_var"]
    for name, buffer in found[0].items():
        assert not mx.array_equal(buffer.value, mx.round(buffer.value)), "the statistics did not move"
        close(found[1][name].value, buffer.value)


def test_large_means_do_not_drown_the_variance():
    x = mx.array((1e4 + normal(100, 3)).astype(np.float32))
    for layer in (mf.BatchNorm(3), mf.GroupNorm(1, 3), mf.LayerNorm(3)):
        y, expected = layer(x), mx.array(np.array(x, dtype=np.float64) - 1e4)
        axis = 0 if isinstance(layer, mf.BatchNorm) else 1
        centred = np.array(expected) - np.array(expected).mean(axis=axis, keepdims=True)
        close(y, centred / np.sqrt((centred**2).mean(axis=axis, keepdims=True) + 1e-5), 1e-2)


def test_a_constant_input_gives_the_bias():
    layer = mf.BatchNorm(2)
    layer.bias.value = mx.array([1.0, 2.0])
    assert layer(mx.ones((4, 2)) * 7).tolist() == [[1.0, 2.0]] * 4
    upstream = normal(4, 2)  # x̂ is 0 everywhere, so only the mean of the gradient is taken away
    close(
        layer.backward(mx.array(upstream.astype(np.float32))), (upstream - upstream.mean(axis=0)) / np.sqrt(layer.eps)
    )


def test_a_layer_used_twice_gets_both_gradients():
    for layer in (mf.BatchNorm(3), mf.LayerNorm(3), mf.GroupNorm(1, 3)):
        by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(4, 3))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(4, 8, 6).astype(np.float32)).transpose(2, 1, 0)[::2, ::-1]
    copy = mx.array(np.array(view))
    for layer in (mf.BatchNorm(4), mf.LayerNorm(4), mf.GroupNorm(2, 4)):
        y, expected = layer(view), layer(copy)
        close(y, expected)
        close(layer.backward(view), layer.backward(copy))


def test_titles_name_the_sizes():
    assert mf.BatchNorm(3).title() == "BatchNorm(3)"
    assert mf.BatchNorm(3, affine=False).title() == "BatchNorm(3, not affine)"
    assert mf.LayerNorm((4, 5), bias=False).title() == "LayerNorm(4, 5, no bias)"
    assert mf.LayerNorm(4, affine=False).title() == "LayerNorm(4, not affine)"
    assert mf.GroupNorm(2, 6, affine=False).title() == "GroupNorm(2 groups, 6, not affine)"


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda: mf.BatchNorm(0), "BatchNorm: expected num_features as a whole number of at least 1"),
        (lambda: mf.BatchNorm(1, momentum=2), "0 <= momentum <= 1"),
        (lambda: mf.BatchNorm(3)(mx.zeros((2, 4))), r"BatchNorm\(3\): expected input \(batch, ..., 3\), got \(2, 4\)"),
        (lambda: mf.BatchNorm(3)(mx.zeros((2, 3, 5, 5))), "channels come last"),
        (lambda: mf.BatchNorm(3)(mx.zeros((1, 3))), "expected more than one value for each channel in training"),
        (lambda: mf.LayerNorm(0), "LayerNorm: expected normalized_shape as a whole number of at least 1"),
        (lambda: mf.LayerNorm((2, 3))(mx.zeros((2, 3))), r"expected input \(batch, ..., 2, 3\), got \(2, 3\)"),
        (lambda: mf.GroupNorm(2, 3), "expected num_channels divisible by num_groups"),
        (lambda: mf.GroupNorm(1, 3)(mx.zeros((2, 4))), r"expected input \(batch, ..., 3\), got \(2, 4\)"),
    ],
)
def test_unsuitable_settings_and_inputs_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_integers_are_refused():
    for layer in (mf.BatchNorm(3), mf.LayerNorm(3), mf.GroupNorm(1, 3)):
        with pytest.raises(TypeError, match="expected real numbers"):
            layer(mx.zeros((2, 3), dtype=mx.int32))


@pytest.mark.parametrize("make", [lambda: mf.LayerNorm(1), lambda: mf.BatchNorm(1)])
def test_the_bias_gradient_of_very_many_samples_agrees_with_double_precision(make):
    layer, grad = make(), np.random.default_rng(0).random((500_000, 1), dtype=np.float32)
    layer(mx.zeros(grad.shape))
    layer.backward(mx.array(grad))
    assert abs(layer.bias.grad.item() / grad.sum(dtype=np.float64) - 1) < 1e-6
