"""A backward whose result cannot be a gradient stops fit in words that name its layer, compiled and not."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

X, Y = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)


class Twofold(mf.Module):
    """z = 2 x, with the backward that a test gives it."""

    def __init__(self, backward):
        self._backward = backward

    def forward(self, x):
        return 2 * x

    def backward(self, grad_output):
        return self._backward(grad_output)


def sequential(layer):
    return mf.Sequential(mf.Linear(3, 3), layer, mf.Linear(3, 2))


def graph(layer):
    x = mf.Input(shape=(3,))
    return mf.Graph(x, mf.Linear(3, 2)(layer.named("twofold")(mf.Linear(3, 3)(x))))


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("build, name", [(sequential, "1"), (graph, "twofold")])
@pytest.mark.parametrize(
    "backward, words",
    [
        (lambda grad: grad.sum(axis=0), "expected a gradient of shape (8, 3) for its input, got (3,); summed over too"),
        (lambda grad: grad.T, "expected a gradient of shape (8, 3) for its input, got (3, 8); transposed?"),
    ],
)
def test_a_gradient_of_the_wrong_shape_is_named(build, name, backward, words, compile):
    model = build(Twofold(backward))
    before = [np.array(p.value) for p in model.parameters()]
    with pytest.raises(ValueError) as caught:
        model.fit(X, Y, loss="mse", optimizer="sgd", compile=compile, verbose=0)
    assert str(caught.value).startswith(f"layer {name!r}, Twofold(): {words}")
    for old, parameter in zip(before, model.parameters()):
        np.testing.assert_array_equal(np.array(parameter.value), old)


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("build", [sequential, graph])
def test_no_gradient_at_all_is_an_error_not_silence(build, compile):
    model = build(Twofold(lambda grad: None))
    with pytest.raises(TypeError, match=r"Twofold\(\): expected an mx.array from backward, got None; a return is mis"):
        model.fit(X, Y, loss="mse", optimizer="sgd", compile=compile, verbose=0)


def test_integers_need_no_gradient():
    class Rows(mf.Module):
        def __init__(self):
            self.table = mf.Parameter(mx.ones((4, 2)))

        def forward(self, ids):
            self.saved = ids
            return self.table.value[ids]

        def backward(self, grad_output):
            self.table.accumulate(mx.zeros((4, 2)).at[self.saved].add(grad_output))

    x = mf.Input(shape=(), dtype=mx.int32)
    model = mf.Graph(x, mf.Tanh()(Rows()(x)))
    model.fit(np.array([0, 3, 1]), np.ones((3, 2)), loss="mse", optimizer="sgd", verbose=0)


def test_errors_that_are_no_misfit_stay_as_they_are():
    def backward(grad):
        raise ValueError("[own] words")

    with pytest.raises(ValueError, match=r"^\[own\] words"):
        sequential(Twofold(backward)).fit(X, Y, loss="mse", optimizer="sgd", verbose=0)
