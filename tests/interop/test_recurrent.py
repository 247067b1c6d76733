"""Recurrent layers to PyTorch and back: same names, same numbers, same gradients."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close, normal
from torch import nn

import miniframe as mf
from miniframe import interop

OPTIONS = {
    "plain": {},
    "two layers, both directions, no bias": dict(num_layers=2, bidirectional=True, bias=False),
    "last output": dict(return_sequences=False),
    "last output of both directions": dict(return_sequences=False, bidirectional=True, num_layers=2),
}


def model_of(kind, options):
    mf.seed(1)
    layer = getattr(mf, kind)(3, 4, **options)
    return mf.Sequential(layer, mf.Tanh(), mf.Linear(4 * layer.directions, 2))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_model_goes_to_pytorch_and_comes_back(kind, name):
    model = model_of(kind, OPTIONS[name])
    module = interop.to_torch(model)
    back = interop.from_torch(module)
    assert repr(back) == repr(model)
    x = normal(3, 5, 3).astype(np.float32)
    tensor = torch.tensor(x, requires_grad=True)
    expected = module(tensor)
    upstream = normal(*expected.shape, seed=1).astype(np.float32)
    expected.backward(torch.tensor(upstream))
    theirs = dict(module.named_parameters())
    for ours in (model, back):
        close(ours(mx.array(x)), expected)
        close(ours.backward(mx.array(upstream)), tensor.grad)
        for path, parameter in ours.named_parameters():
            close(parameter.grad, theirs[path].grad)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_pytorchs_own_layers_and_weights_come_in(kind):
    module = getattr(nn, kind)(3, 4, num_layers=2, batch_first=True, bidirectional=True)
    x = normal(2, 5, 3).astype(np.float32)
    expected = module(torch.tensor(x))[0]
    close(interop.from_torch(module)(mx.array(x)), expected)
    layer = getattr(mf, kind)(3, 4, num_layers=2, bidirectional=True)
    assert "16 loaded" in repr(interop.load_torch_weights(layer, module.state_dict()))
    close(layer(mx.array(x)), expected)


@pytest.mark.parametrize("option", [dict(batch_first=False), dict(proj_size=2)])
def test_what_has_no_counterpart_is_refused(option):
    module = nn.LSTM(3, 4, **{"batch_first": True, **option})
    with pytest.raises(ValueError, match=f"from_torch: LSTM.* has {next(iter(option))}="):
        interop.from_torch(module)


def test_a_layer_that_returns_its_state_does_so_in_pytorch_with_the_batch_in_front():
    for layer in (mf.LSTM(3, 4, 2, return_state=True), mf.GRU(3, 4, return_state=True)):
        x = normal(2, 5, 3).astype(np.float32)
        found, expected = interop.to_torch(layer)(torch.tensor(x)), layer(mx.array(x))
        for a, b in zip(found, expected, strict=True):
            close(a, b)
        again = interop.to_torch(layer)(torch.tensor(x), *found[1:])
        close(again[0], layer(mx.array(x), *expected[1:])[0])


def test_flattened_sequences_raise_no_question_about_colours(recwarn):
    model = mf.Sequential(mf.GRU(3, 3), mf.Flatten(), mf.Linear(12, 2))
    x = normal(2, 4, 3).astype(np.float32)
    close(model(mx.array(x)), interop.to_torch(model)(torch.tensor(x)))
    assert not len(recwarn)
