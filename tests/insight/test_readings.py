"""A reading holds the numbers that NumPy finds."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe import Linear, Sequential, Tanh
from miniframe.insight.readings import read


def test_a_reading_holds_the_norms_that_numpy_finds():
    model = Sequential(Linear(3, 4), Tanh(), Linear(4, 2))
    x, y = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    y = y[:, :2]
    found = read(model, mf.MSELoss(), (mx.array(x), mx.array(y)))
    w0, b0, w2, b2 = (np.array(p.value, dtype=np.float64) for p in model.parameters())
    h = np.tanh(x @ w0.T + b0)
    output = h @ w2.T + b2
    upstream = (output - y) * 2 / y.size
    expected = {"0": (upstream @ w2) * (1 - h**2), "1": upstream @ w2, "2": upstream}
    assert found.loss == pytest.approx(((output - y) ** 2).mean(), rel=1e-5)
    for name, grad in expected.items():
        each = np.linalg.norm(grad * len(x), axis=1)
        assert found.layers[name].gradient == pytest.approx(np.sqrt((each**2).mean()), rel=1e-4)
    assert found.layers["1"].activation == pytest.approx(np.sqrt((h**2).mean()), rel=1e-5)
    assert found.layers["1"].saturated == pytest.approx((abs(h) > 0.99).mean())
    assert [layer.learns for layer in found.layers.values()] == [True, False, True]


def test_summed_and_mean_losses_give_the_same_gradients():
    model = Sequential(Linear(3, 2))
    batch = mx.random.normal((6, 3)), mx.random.normal((6, 2))
    mean, total = (read(model, mf.MSELoss(reduction=r), batch).layers["0"].gradient for r in ("mean", "sum"))
    assert total == pytest.approx(mean * 2, rel=1e-5)  # the mean is over 2 numbers for each sample


def test_a_layer_called_twice_is_listed_twice():
    layer = Linear(2, 2)
    found = read(Sequential(layer, Tanh(), layer), mf.MSELoss(), (mx.ones((3, 2)), mx.zeros((3, 2))))
    assert list(found.layers) == ["0", "1", "0#2"]
