"""Jacobians and per-sample gradients, both through the hand-written backward."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf


class Residual(mf.Module):
    """A module that only composes others."""

    def __init__(self):
        self.inner, self.bend = mf.Linear(3, 3), mf.Tanh()

    def forward(self, x):
        return x + self.bend(self.inner(x))


class Drift(mf.Module):
    """Subtracts the batch mean, in the way of batch normalization: samples depend on each other."""

    def __init__(self):
        self.mean = mf.Buffer(mx.zeros((3,)))

    def forward(self, x):
        self.mean.value = x.mean(axis=0)
        self.saved = ()
        return x - x.mean(axis=0)

    def backward(self, grad_output):
        return grad_output - grad_output.mean(axis=0)


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def mlp():
    return mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 2), mf.Sigmoid())


@pytest.mark.parametrize("make", [mlp, Residual, lambda: mf.Softmax(), lambda: mf.Reshape(3, 1)])
def test_jacobian_holds_all_derivatives(make):
    module, x = make(), array(2, 3)
    found = mf.jacobian(module, x)
    rows = [mx.vjp(module.forward, [x], [u])[1][0] for u in mx.eye(module(x).size).reshape(-1, *module(x).shape)]
    close(found, mx.stack(rows).reshape(found.shape))


def test_jacobian_of_several_inputs_is_a_tuple():
    x, y = array(2, 3), array(3, seed=1)
    module = mf.layers.arithmetic.Multiply()
    dx, dy = mf.jacobian(module, x, y)
    assert dx.shape == (2, 3, 2, 3) and dy.shape == (2, 3, 3)
    close(mx.einsum("abc->c", dy), x.sum(axis=0))


def test_jacobian_of_a_chain_is_the_product_of_the_jacobians():
    model, x = mlp(), array(2, 3)
    product, value = mx.eye(6), x
    for layer in model:
        j = mf.jacobian(layer, value)
        value = layer(value)
        product = j.reshape(value.size, -1) @ product
    close(mf.jacobian(model, x).reshape(4, 6), product, 1e-6)


def test_jacobian_leaves_the_model_as_it_was():
    model, x = mlp(), array(2, 3)
    upstream = array(2, 2, seed=3)
    model(x)
    model.backward(upstream)
    before = [np.array(p.grad) for p in model.parameters()]
    mf.jacobian(model, array(5, 3))
    model.backward(upstream)
    for p, grad in zip(model.parameters(), before):
        assert p.trainable
        close(p.grad, 2 * grad)


def test_jacobian_without_an_input_is_an_error():
    with pytest.raises(ValueError, match=r"jacobian\(Tanh\(\)\): expected at least one input"):
        mf.jacobian(mf.Tanh())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "make",
    [
        mlp,
        lambda: mf.Sequential(Residual(), Residual(), mf.Linear(3, 2)),
        lambda: mf.Sequential(mf.Linear(3, 8), mf.Dropout(0.5), mf.Linear(8, 2)),
        lambda: mf.Sequential(mf.Linear(3, 3, bias=False), Drift(), mf.Tanh(), mf.Linear(3, 2)),
    ],
)
def test_per_sample_gradients_average_to_the_batch_gradient(make, reduction):
    model, x, y = make(), array(7, 3), array(7, 2, seed=1)
    loss = mf.MSELoss(reduction=reduction)
    mf.seed(4)
    found = mf.per_sample_gradients(model, loss, x, y)
    mf.seed(4)
    loss(model(x), y)
    model.backward(loss.gradient())
    for name, p in model.named_parameters():
        assert found[name].shape == (7, *p.shape)
        close(found[name].mean(axis=0) if reduction == "mean" else found[name].sum(axis=0), p.grad, 1e-6)


def test_per_sample_gradient_is_the_gradient_of_that_sample():
    model, x, labels = mlp(), array(5, 3), mx.array([0, 1, 1, 0, 1])
    loss = mf.CrossEntropyLoss()
    found = mf.per_sample_gradients(model, loss, x, labels)
    for i in range(5):
        model.zero_grad()
        loss(model(x[i : i + 1]), labels[i : i + 1])
        model.backward(loss.gradient())
        for name, p in model.named_parameters():
            close(found[name][i], p.grad, 1e-6)


def test_per_sample_gradients_leave_the_model_as_it_was_and_skip_frozen_parameters():
    model, loss = mlp(), mf.MSELoss()
    model[0].freeze()
    state = mf.random.get_state()
    found = mf.per_sample_gradients(model, loss, array(4, 3), array(4, 2))
    assert list(found) == ["2.weight", "2.bias"]
    assert all(p.grad is None for p in model.parameters()) and mf.random.get_state() == state
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        model.backward(array(4, 2))


def test_per_sample_gradients_of_a_convolutional_model():
    model = mf.Sequential(mf.Conv2d(2, 3, 3), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten(), mf.Linear(12, 4))
    x, labels = array(5, 6, 6, 2), mx.array([0, 3, 1, 1, 2])
    loss = mf.CrossEntropyLoss()
    found = mf.per_sample_gradients(model, loss, x, labels)
    loss(model(x), labels)
    model.backward(loss.gradient())
    for name, p in model.named_parameters():
        close(found[name].mean(axis=0), p.grad, 1e-6)


def test_inputs_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"same number of samples.*\(4, 3\), \(5, 3\)"):
        mf.per_sample_gradients(mlp(), mf.MSELoss(), (array(4, 3), array(5, 3)), array(4, 2))


def wires():
    x = mf.Input((3,))
    h = mf.Linear(3, 3)(x)
    return mf.Graph(x, mf.Linear(3, 2)(h * mf.Tanh()(x) + h))


def test_a_graph_has_jacobians_and_per_sample_gradients_and_keeps_its_values():
    graph, x, y = wires(), array(5, 3), array(5, 2, seed=1)
    graph(x)
    graph.backward(y)
    before = graph["tanh"].grad
    graph.zero_grad()
    found = mf.jacobian(graph, x)
    close(mx.einsum("ab,abcd->cd", y, found), graph.backward(y))
    graph.zero_grad()
    grads = mf.per_sample_gradients(graph, mf.MSELoss(), x, y)
    assert mx.array_equal(graph["tanh"].grad, before)
    loss = mf.MSELoss()
    loss(graph(x), y)
    graph.backward(loss.gradient())
    for name, p in graph.named_parameters():
        close(grads[name].mean(axis=0), p.grad, 1e-6)


def test_chunks_give_the_same_as_one_call(monkeypatch):
    model, x, y = mlp(), array(7, 3), array(7, 2, seed=1)
    whole, grads = mf.jacobian(model, x), mf.per_sample_gradients(model, mf.MSELoss(), x, y)
    monkeypatch.setitem(mf.jacobian.__globals__, "AT_ONCE", 3)
    close(mf.jacobian(model, x), whole, 1e-6)
    for name, grad in mf.per_sample_gradients(model, "mse", x, y).items():
        close(grad, grads[name], 1e-6)


def test_what_cannot_be_vectorized_runs_one_by_one():
    class Strided(mf.Module):
        """Sums of neighbours; MLX has no vectorized as_strided."""

        def forward(self, x):
            self.saved = ()
            return x[:-1] + x[1:]

        def backward(self, grad_output):
            padded = mx.pad(grad_output, 1)
            return mx.as_strided(padded, (grad_output.size + 1, 2), (1, 1)).sum(axis=1)

    with pytest.raises(ValueError, match="as_strided|vmap"):
        mx.vmap(Strided().backward)(mx.eye(3))
    assert mf.jacobian(Strided(), array(4)).tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
