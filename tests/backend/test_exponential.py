"""exp and its kin from sums and products: as exact as single precision, at the ends, too, and derived by mx.grad."""

import math

import mlx.core as mx
import numpy as np
import pytest

from miniframe.backend import exponential

PHI = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2)
PLAIN = {
    "normal": lambda x: (1 + mx.erf(x / math.sqrt(2))) / 2,
    "softplus": lambda x: mx.logaddexp(x, 0),
    "density": lambda x: mx.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}
EXACT = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
    "normal": PHI,
    "density": lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
}


@pytest.fixture(autouse=True)
def taken(monkeypatch, on_cpu):
    monkeypatch.setattr(exponential, "pays", lambda x: True)


def grid():
    whole, small = np.linspace(-30, 30, 20_001), np.geomspace(1e-20, 1, 2000)
    return np.concatenate([whole, small, -small, np.zeros(1)]).astype(np.float32)


@pytest.mark.parametrize("name", EXACT)
def test_every_number_is_right_to_single_precision(name):
    x = grid()
    found = np.array(getattr(exponential, name)(mx.array(x)), dtype=np.float64)
    expected = EXACT[name](x.astype(np.float64))
    rounded = name in ("normal", "density")  # x² / 2
    tolerance = 3e-6 + 3e-7 * x.astype(np.float64) ** 2 if rounded else 5e-7
    tiny = np.abs(expected) < 2.4e-38
    assert np.all(np.abs(found - expected)[~tiny] <= (tolerance * np.abs(expected))[~tiny])
    assert np.all(np.abs(found[tiny] - expected[tiny]) < 2.4e-38)


@pytest.mark.parametrize("name", EXACT)
def test_the_ends_are_those_of_mlx(name):
    x = mx.array([-mx.inf, mx.inf, -1e30, 1e30, mx.finfo(mx.float32).min, mx.nan])
    plain = PLAIN.get(name) or getattr(mx, name)
    np.testing.assert_array_equal(np.array(getattr(exponential, name)(x)), np.array(plain(x)))


@pytest.mark.parametrize("name", EXACT)
def test_mx_grad_and_vmap_and_compile_go_through_it(name):
    x = mx.array(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 3)
    function = getattr(exponential, name)
    plain = PLAIN.get(name) or getattr(mx, name)
    for change in (lambda f: mx.grad(lambda x: f(x).sum()), mx.vmap, mx.compile):
        np.testing.assert_allclose(np.array(change(function)(x)), np.array(change(plain)(x)), rtol=2e-5, atol=1e-6)


def test_softmax_sums_to_one_and_knows_what_is_hidden():
    x = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32) * 20
    x[:, 5], x[2, 10:] = np.finfo(np.float32).min, -np.inf
    found = np.array(exponential.softmax(mx.array(x)))
    np.testing.assert_allclose(found, np.array(mx.softmax(mx.array(x), axis=-1)), rtol=2e-5, atol=1e-9)
    assert np.all(found[:, 5] == 0) and np.allclose(found.sum(axis=-1), 1)
    grad = mx.grad(lambda x: (exponential.softmax(x) ** 2).sum())(mx.array(x[3:, :5]))
    plain = mx.grad(lambda x: (mx.softmax(x, axis=-1) ** 2).sum())(mx.array(x[3:, :5]))
    np.testing.assert_allclose(np.array(grad), np.array(plain), atol=1e-6)


@pytest.mark.parametrize("axis", [-1, 0])
def test_logsumexp_and_softmax_along_an_axis(axis):
    x = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32) * 20 + 500
    found = np.array(exponential.logsumexp(mx.array(x), axis))
    np.testing.assert_allclose(found, np.array(mx.logsumexp(mx.array(x), axis=axis, keepdims=True)), rtol=1e-6)
    weights = np.array(exponential.softmax(mx.array(x), axis))
    np.testing.assert_allclose(weights, np.array(mx.softmax(mx.array(x), axis=axis)), rtol=2e-5, atol=1e-9)


def test_few_numbers_and_double_precision_are_left_to_mlx(monkeypatch):
    monkeypatch.undo()
    for x in (mx.zeros((8,)), mx.zeros((exponential.FEW,), dtype=mx.float16)):
        assert not exponential.pays(x)
    mx.set_default_device(mx.cpu)
    assert not exponential.pays(mx.zeros((exponential.FEW,), dtype=mx.float64))
