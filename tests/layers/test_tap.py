"""Taps: reading and changing what flows between two layers, inserted and removed by name."""

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, close, normal

import miniframe as mf
from miniframe import Graph, Input, Linear, Sequential, Tanh, Tap


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def sequential():
    return Sequential({"first": Linear(3, 4), "act": Tanh(), "last": Linear(4, 2)})


def graph():
    x = Input((3,), name="x")
    h = Tanh()(Linear(3, 4)(x).named("first")).named("act")
    return Graph(x, Linear(4, 2)(h).named("last"))


MODELS = pytest.mark.parametrize("make", [sequential, graph], ids=["sequential", "graph"])


@MODELS
def test_a_tap_without_functions_changes_nothing(make):
    model = make()
    data = array(5, 3)
    before = model(data), model.backward(mx.ones((5, 2)))
    model.insert("act", Tap())
    assert mx.array_equal(model(data), before[0])
    assert mx.array_equal(model.backward(mx.ones((5, 2))), before[1])
    by_differences(model, normal(5, 3))
    by_differences(Tap(), normal(2, 3))


@MODELS
def test_a_tap_reads_the_activation_and_the_gradient_of_its_place(make):
    model, seen = make(), []
    model.insert("act", Tap(seen.append, seen.append), name="look")
    data = array(5, 3)
    model(data)
    model.backward(mx.ones((5, 2)))
    activation, gradient = seen
    first = dict(model.named_modules())["first"]
    close(activation, mx.tanh(first(data)))
    last = dict(model.named_modules())["last"]
    close(gradient, mx.ones((5, 2)) @ last.weight.value)


@MODELS
def test_a_tap_masks_the_activation_and_the_gradient(make):
    model = make()
    mask = mx.array([1.0, 0.0, 1.0, 0.0])
    model.insert("first", Tap(lambda x: x * mask, lambda g: g * mask), name="mask")
    model(array(5, 3))
    model.backward(mx.ones((5, 2)))
    modules = dict(model.named_modules())
    assert mx.abs(modules["first"].weight.grad).sum(axis=1).tolist()[1::2] == [0, 0]
    assert mx.abs(modules["last"].weight.grad).sum(axis=0).tolist()[1::2] == [0, 0]


@MODELS
def test_a_tap_scales_or_replaces_the_gradient_only(make):
    model = make()
    data = array(5, 3)
    value, grad = model(data), model.backward(mx.ones((5, 2)))
    model.insert("act", Tap(backward=lambda g: -g), name="reverse")
    assert mx.array_equal(model(data), value)
    close(model.backward(mx.ones((5, 2))), -grad)
    model.remove("reverse")
    model.insert("act", Tap(backward=mx.zeros_like))
    model(data)
    assert not mx.abs(model.backward(mx.ones((5, 2)))).sum().item()


def tap():
    return Tap(lambda x: x * mx.array([0.5, 2.0, 1.0, -1.0]), lambda g: g * mx.array([3.0, 0.0, 1.0, 0.5]))


class Uneven(mf.Module):
    """What that tap does, as a layer."""

    def forward(self, x):
        self.saved = ()
        return mx.stack([x[:, 0] / 2, x[:, 1] * 2, x[:, 2], -x[:, 3]], axis=1)

    def backward(self, grad_output):
        g = grad_output
        return mx.stack([3 * g[:, 0], mx.zeros_like(g[:, 1]), g[:, 2], g[:, 3] / 2], axis=1)


@MODELS
def test_a_tapped_model_trains_compiled(make):
    results = {}
    for name, extra, compile in (
        ("tapped", tap(), True), ("not compiled", tap(), False), ("by hand", Uneven(), True), ("untapped", None, True),
    ):  # fmt: skip
        mf.seed(0)
        model = make()
        if extra is not None:
            model.insert("act", extra)
        optimizer = mf.SGD(model, lr=0.1)
        options = {"epochs": 3, "batch_size": 10, "shuffle": False, "verbose": 0, "compile": compile}
        model.fit(array(20, 3), array(20, 2), loss="mse", optimizer=optimizer, **options)
        results[name] = {path: np.array(p.value) for path, p in model.named_parameters()}
    for path, values in results["tapped"].items():
        close(values, results["not compiled"][path], 1e-6)
        close(values, results["by hand"][path], 1e-6)
        assert np.abs(values - results["untapped"][path]).max() > 1e-3, path
