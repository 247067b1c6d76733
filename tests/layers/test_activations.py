"""Activation functions against three witnesses."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf

CASES = {
    "Identity": (mf.Identity(), lambda x: x * 1),
    "ReLU": (mf.ReLU(), torch.relu),
    "LeakyReLU": (mf.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
    "ELU": (mf.ELU(1.3), lambda x: F.elu(x, 1.3)),
    "Sigmoid": (mf.Sigmoid(), torch.sigmoid),
    "Tanh": (mf.Tanh(), torch.tanh),
    "Softplus": (mf.Softplus(), F.softplus),
    "SiLU": (mf.SiLU(), F.silu),
    "GELU": (mf.GELU(), F.gelu),
    "Softmax": (mf.Softmax(), lambda x: torch.softmax(x, -1)),
    "Softmax over axis 1": (mf.Softmax(axis=1), lambda x: torch.softmax(x, 1)),
    "LogSoftmax": (mf.LogSoftmax(), lambda x: torch.log_softmax(x, -1)),
    "LogSoftmax over axis 1": (mf.LogSoftmax(axis=1), lambda x: torch.log_softmax(x, 1)),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize("shape", [(3, 5), (1, 7), (2, 3, 4)])
def test_gradient_agrees_with_three_witnesses(case, shape):
    module, reference = case
    x = normal(*shape)
    by_differences(module, x)
    by_mx_grad(module, x)
    by_torch(module, reference, x)


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(0, 1000))
def test_any_shape_passes_the_gradient_check(shape, seed):
    for module, _ in CASES.values():
        report = mf.check_gradients(module, normal(*shape, seed=seed))
        assert report.passed, report


def test_extreme_inputs_give_finite_values_and_gradients(case):
    module, reference = case
    x = mx.array([[-1e4, -100.0, 0.0, 100.0, 1e4], [3.0, 2.0, 1.0, 0.0, -1.0]])
    y = module(x)
    assert mx.isfinite(y).all().item()
    assert mx.isfinite(module.backward(mx.ones_like(y))).all().item()
    tensor = torch.tensor(np.array(x), requires_grad=True)
    expected = reference(tensor)
    expected.backward(torch.ones_like(expected))
    close(y, expected)
    close(module.backward(mx.ones_like(y)), tensor.grad)


def test_backward_leaves_what_was_saved_untouched(case):
    module, _ = case
    y = module(mx.array(normal(4, 3).astype(np.float32)))
    first = module.backward(mx.ones_like(y))
    assert mx.array_equal(first, module.backward(mx.ones_like(y)))


def test_a_strided_input_gives_the_same_as_a_contiguous_one(case):
    module, _ = case
    x = mx.array(normal(6, 8).astype(np.float32))
    view = x.T[::2]
    copy = mx.array(np.array(view))
    assert mx.array_equal(module(view), module(copy))


def test_backward_before_forward_names_the_layer():
    with pytest.raises(RuntimeError, match=r"ReLU\(\): backward needs a forward first"):
        mf.ReLU().backward(mx.ones((2, 2)))
