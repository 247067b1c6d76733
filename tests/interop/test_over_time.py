"""Convolution and pooling along time to PyTorch and back: (N, T, C) here is (N, C, T) there."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close, normal
from torch import nn

import miniframe as mf
from miniframe import interop


def turned(a):
    return np.ascontiguousarray(a.swapaxes(1, 2)) if a.ndim == 3 else a


MODELS = {
    "plain": lambda: mf.Sequential(mf.Conv1d(2, 4, 3), mf.ReLU()),
    "every option": lambda: mf.Sequential(mf.Conv1d(2, 4, 3, 2, 2, 2, 2, bias=False), mf.Tanh()),
    "same, even": lambda: mf.Sequential(mf.Conv1d(2, 3, 4, padding="same"), mf.BatchNorm(3), mf.GELU()),
    "pools": lambda: mf.Sequential(mf.Conv1d(2, 4, 3, padding=1), mf.MaxPool1d(3, 2, 1), mf.AvgPool1d(2)),
    "flattened": lambda: mf.Sequential(
        mf.Conv1d(2, 6, 3), mf.ReLU(), mf.MaxPool1d(2), mf.Flatten(), mf.Linear(30, 4), mf.Tanh(), mf.Linear(4, 2)
    ),
    "mean of all steps": lambda: mf.Sequential(mf.Conv1d(2, 6, 3), mf.GlobalAvgPool1d(), mf.Linear(6, 2)),
    "largest of all steps": lambda: mf.Sequential(mf.AvgPool1d(2), mf.GlobalMaxPool1d(), mf.Linear(2, 3)),
    "a pool alone": lambda: mf.Sequential(mf.MaxPool1d(2)),
}


def same(model, module, x):
    """Outputs and all gradients agree."""
    tensor = torch.tensor(turned(x), requires_grad=True)
    y, expected = model(mx.array(x)), module(tensor)
    close(y, turned(expected.detach().numpy()))
    upstream = normal(*y.shape, seed=1).astype(np.float32)
    for parameters in (model, module):
        parameters.zero_grad()
    close_to = model.backward(mx.array(upstream))
    expected.backward(torch.tensor(turned(upstream)))
    close(close_to, turned(tensor.grad.numpy()), 1e-4)
    theirs = dict(module.named_parameters())
    for path, parameter in model.named_parameters():
        grad = theirs[path].grad.numpy()
        if grad.shape != parameter.shape or grad.ndim == 3:
            grad = turned(grad)
        if path == "4.weight":  # after Flatten: columns (C, T) there, (T, C) here
            grad = grad.reshape(4, 6, 5).swapaxes(1, 2).reshape(4, 30)
        close(parameter.grad, grad, 1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_goes_to_pytorch_and_comes_back(name, recwarn):
    mf.seed(0)
    model = MODELS[name]()
    module = interop.to_torch(model)
    back = interop.from_torch(module)
    assert repr(back) == repr(model) and not [w for w in recwarn if "interop" in str(w.filename)]
    x = normal(3, 12, 2).astype(np.float32)
    same(model.eval(), module.eval(), x)
    same(back.eval(), module, x)


def test_pytorchs_own_model_and_weights_come_in():
    module = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.AvgPool1d(2, 1),
        nn.Conv1d(4, 3, 1, padding="valid"), nn.Flatten(), nn.Linear(6, 2),
    ).eval()  # fmt: skip
    x = normal(2, 12, 2).astype(np.float32)
    expected = module(torch.tensor(turned(x))).detach().numpy()
    model = interop.from_torch(module)
    close(model(mx.array(x)), expected)
    fresh = interop.from_torch(module)
    for parameter in fresh.parameters():
        parameter.value = parameter.value * 0
    interop.load_torch_weights(fresh, module.state_dict())
    close(fresh(mx.array(x)), expected)


@pytest.mark.parametrize(
    "module, option",
    [
        (nn.MaxPool1d(2, dilation=2), "dilation"),
        (nn.MaxPool1d(2, ceil_mode=True), "ceil_mode"),
        (nn.AvgPool1d(2, padding=1, count_include_pad=False), "count_include_pad"),
    ],
)
def test_what_has_no_counterpart_is_refused(module, option):
    with pytest.raises(ValueError, match=f"from_torch: {type(module).__name__}.* has {option}="):
        interop.from_torch(module)


def test_causal_padding_stays_here():
    with pytest.raises(ValueError, match="Conv1d.* pads its ends unevenly, which PyTorch's Conv1d cannot"):
        interop.to_torch(mf.Conv1d(2, 3, 3, padding="causal"))


@pytest.mark.parametrize(
    "model, first, second",
    [
        (lambda: mf.Sequential(mf.Conv1d(2, 3, 3), mf.ReLU(), mf.GRU(3, 2)), "Conv1d", "GRU"),
        (lambda: mf.Sequential(mf.GRU(2, 3), mf.Conv1d(3, 3, 3)), "GRU", "Conv1d"),
        (lambda: mf.Sequential(mf.MaxPool1d(2), mf.Linear(3, 3)), "MaxPool1d", "Linear"),
        (lambda: mf.Sequential(mf.LayerNorm(3), mf.AvgPool1d(2)), "LayerNorm", "AvgPool1d"),
    ],
)
def test_layers_with_time_on_different_axes_are_not_mixed(model, first, second):
    axes = ["C, T", "T, C"] if first in ("Conv1d", "MaxPool1d") else ["T, C", "C, T"]
    words = rf"to_torch: 0, {first}\(.*, has \(N, {axes[0]}\) in PyTorch and ., {second}\(.*, has \(N, {axes[1]}\)"
    with pytest.raises(ValueError, match=words):
        interop.to_torch(model())


def test_a_linear_layer_over_time_does_not_come_in_as_one_over_channels():
    with pytest.raises(ValueError, match=r"from_torch: 0, Conv1d.* and 1, Linear\(4 -> 2\), has \(N, T, C\)"):
        interop.from_torch(nn.Sequential(nn.Conv1d(4, 4, 1), nn.Linear(4, 2)))


def test_with_an_example_a_linear_layer_over_time_comes_in_as_what_it_is():
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Linear(4, 2)), torch.randn(5, 2, 6)
    model = interop.from_torch(module, x)
    close(model(mx.array(x.numpy().transpose(0, 2, 1))), module(x).detach().numpy().transpose(0, 2, 1))
