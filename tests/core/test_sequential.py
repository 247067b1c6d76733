"""Chains of layers."""

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, by_mx_grad, by_torch, normal

import miniframe as mf


def test_gradients_agree_with_three_witnesses():
    import torch

    model = mf.Sequential(mf.Linear(3, 5), mf.Tanh(), mf.Linear(5, 2))
    twin = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    weights = {}
    for i in (0, 2):
        for name in ("weight", "bias"):
            parameter = getattr(twin[i], name)
            parameter.data = torch.tensor(np.array(getattr(model[i], name).value))
            weights[f"{i}.{name}"] = (parameter, lambda a: a)
    by_differences(model, normal(4, 3))
    by_mx_grad(model, normal(4, 3))
    by_torch(model, twin, normal(4, 3), weights=weights)


def test_a_layer_used_twice_gets_the_sum_of_both_gradients():
    shared = mf.Linear(3, 3)
    by_differences(mf.Sequential(shared, mf.Tanh(), shared), normal(4, 3))


def test_the_same_activation_object_may_appear_twice():
    relu = mf.Tanh()
    by_differences(mf.Sequential(mf.Linear(2, 3), relu, mf.Linear(3, 3), relu), normal(4, 2))


def test_nested_chains_equal_flat_ones():
    a, b, c = mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 1)
    x = mx.array(normal(5, 2).astype(np.float32))
    flat, nested = mf.Sequential(a, b, c), mf.Sequential(mf.Sequential(a, b), c)
    assert mx.array_equal(flat(x), nested(x))
    assert [name for name, _ in nested.named_parameters()] == ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]


def test_indexing_slicing_naming_and_appending():
    model = mf.Sequential({"hidden": mf.Linear(2, 3), "act": mf.ReLU()})
    assert model.append(mf.Linear(3, 1), name="out") is model
    assert len(model) == 3 and model["out"] is model[-1] is model[2]
    assert [type(layer).__name__ for layer in model] == ["Linear", "ReLU", "Linear"]
    part = model[:2]
    assert isinstance(part, mf.Sequential) and part["hidden"] is model["hidden"]
    model["act"] = mf.Tanh()
    assert isinstance(model[1], mf.Tanh)
    assert [name for name, _ in model.named_parameters()][:2] == ["hidden.weight", "hidden.bias"]


def test_slices_of_unnamed_chains_are_numbered_afresh():
    model = mf.Sequential(mf.Linear(2, 2), mf.ReLU(), mf.Linear(2, 2))
    assert [name for name, _ in model[1:].named_modules()] == ["", "0", "1"]


@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda: mf.Sequential(mf.ReLU), TypeError, r"expected a module at '0', got the class ReLU; write ReLU\(\)"),
        (
            lambda: mf.Sequential([mf.ReLU(), mf.Tanh()]),
            TypeError,
            r"expected a module at '0', got a list of 2; write Sequential\(a, b\) or Sequential\(\*layers\)",
        ),
        (lambda: mf.Sequential(mf.ReLU(), 3), TypeError, "expected a module at '1', got 3"),
        (lambda: mf.Sequential({"a.b": mf.ReLU()}), ValueError, "without dots"),
        (lambda: mf.Sequential({"a": mf.ReLU()}).append(mf.ReLU(), "a"), ValueError, "already a layer named 'a'"),
        (lambda: mf.Sequential(mf.ReLU())[3], IndexError, "no layer 3; it has 1: 0"),
        (lambda: mf.Sequential({"a": mf.ReLU()})["b"], KeyError, "no layer 'b'; it has 1: a"),
    ],
)
def test_mistakes_are_explained(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_a_gradient_of_the_wrong_shape_is_refused():
    model = mf.Sequential(mf.Linear(2, 3))
    model(mx.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"expected a gradient of the output's shape \(4, 3\), got \(4, 2\)"):
        model.backward(mx.zeros((4, 2)))


def test_an_empty_chain_is_the_identity():
    x = mx.ones((2, 2))
    assert mx.array_equal(mf.Sequential()(x), x)


class Scaled(mf.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


class Around(mf.Sequential):
    def forward(self, x):
        y = x
        for layer in self:
            y = layer(y)
        return y + x


@pytest.mark.parametrize("cls", [Scaled, Around])
def test_a_subclass_with_its_own_forward_gets_the_backward_of_that_forward(cls):
    model = cls(mf.Linear(2, 3), mf.Tanh(), mf.Linear(3, 2))
    x = mx.random.normal((4, 2))
    report = mf.check_gradients(model, x)
    assert report.passed, report
    outer = mf.Sequential(mf.Linear(2, 2), model)
    assert mf.check_gradients(outer, x).passed
    history = outer.fit(x, x, loss="mse", optimizer="sgd", epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_a_subclass_of_such_a_subclass_composes_too_and_one_with_both_keeps_its_own():
    class Further(Around):
        pass

    class Own(mf.Sequential):
        def forward(self, x):
            return super().forward(x)

        def backward(self, grad_output):
            return super().backward(grad_output)

    assert Further().composes() and Around().composes()
    assert not Own(mf.ReLU()).composes() and not mf.Sequential().composes()
    assert mf.check_gradients(Own(mf.Linear(2, 2)), mx.ones((1, 2))).passed
