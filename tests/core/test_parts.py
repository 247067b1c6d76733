"""A model that composes may use parameters of its own: they are recorded, learned, checked, listed and saved."""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, close, normal

import miniframe as mf
import miniframe.functional as F
from miniframe import Linear


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


@mf.register
class Scaled(mf.Module):
    """Uses its parameters in operators (on either side), in functions, by index, by method, and in a layer."""

    def __init__(self, seed=0):
        self.fc = Linear(3, 4)
        self.position, self.scale = mf.Parameter(array(3, seed=seed)), mf.Parameter(array(4, seed=seed + 1))
        self.table, self.query = mf.Parameter(array(4, 2, seed=seed + 2)), mf.Parameter(array(1, 3, seed=seed + 3))

    def forward(self, x):
        h = self.scale * self.fc(x + self.position) - self.fc(self.query)
        return (
            F.tanh(h @ self.table / (1 + self.scale[0] ** 2))
            + self.table.T.sum(axis=1).mean()
            - F.exp(self.scale).sum()
        )


def test_their_gradients_are_those_of_differences():
    by_differences(Scaled(), normal(5, 3))
    by_differences(Scaled(), normal(1, 3))
    by_differences(mf.Sequential(Linear(2, 3), Scaled(), mf.Sigmoid()), normal(4, 2) + 1)


def test_all_witnesses_agree():
    found = mf.compare_gradients(Weighted(), mf.MSELoss(), normal(6, 3), normal(6, 3, seed=1))
    assert not found.absent and "scale" in found.gradients and found.max_error < 1e-6
    assert all(len(gradients) == 4 for gradients in found.gradients.values())


class Weighted(mf.Module):
    def __init__(self):
        self.fc, self.scale = Linear(3, 3), mf.Parameter(array(3, seed=7))

    def forward(self, x):
        return self.fc(x) * self.scale + self.scale


def test_they_learn_compiled_as_uncompiled():
    x, y = array(20, 3), array(20, 2, seed=9)
    found = []
    for compiled in (True, False):
        mf.seed(0)
        model = Scaled()
        before = [p.value for p in model.parameters()]
        model.fit(x, y, loss="mse", optimizer="adam", epochs=3, seed=1, verbose=0, compile=compiled)
        assert not any(mx.array_equal(a, p.value) for a, p in zip(before, model.parameters(), strict=True))
        found.append([p.value for p in model.parameters()])
    for a, b in zip(*found):
        close(a, b)


def test_gradients_add_up_and_frozen_parameters_get_none():
    model = Weighted()
    x, dy = array(5, 3), array(5, 3, seed=3)
    for times in (1, 2):
        model(x)
        model.backward(dy)
        close(model.scale.grad, times * (dy * (model.fc(x) + 1)).sum(axis=0))
    model.zero_grad()
    model.scale.trainable = False
    model(x)
    model.backward(dy)
    assert model.scale.grad is None and model.fc.weight.grad is not None


def test_a_parameter_of_an_inner_layer_may_be_used_outside_of_it():
    class Tied(mf.Module):
        def __init__(self):
            self.enter = Linear(3, 3, bias=False)

        def forward(self, x):
            return F.tanh(self.enter(x)) @ self.enter.weight

    by_differences(Tied(), normal(4, 3))
    with mf.no_grad():
        model, x = Tied(), array(4, 3)
        close(model(x), mx.tanh(x @ model.enter.weight.value.T) @ model.enter.weight.value)


def test_a_graph_lists_runs_and_saves_them(tmp_path):
    x = mf.Input((3,))
    model = Scaled().named("net")
    graph = mf.Graph(x, mf.Sigmoid()(model(x)))
    names = ["net.position", "net.scale", "net.table", "net.query"]
    assert [name for name, _ in graph.named_parameters()] == ["net.fc.weight", "net.fc.bias", *names]
    assert set(names) <= set(graph.names) and "net.scale#2" in graph.names
    data = array(4, 3)
    close(graph(data), F.sigmoid(model(data)))
    by_differences(graph, normal(4, 3))
    graph.save(tmp_path / "graph")
    loaded = mf.load(tmp_path / "graph")
    assert mx.array_equal(loaded(data), graph(data))
    loaded(data)
    loaded.backward(mx.ones((4, 2)))
    assert all(p.grad is not None for p in loaded.parameters()) and len(list(loaded.parameters())) == 6


def test_a_graph_may_be_made_of_a_parameter_alone_and_an_input():
    table = mf.Parameter(array(3, 2))
    x = mf.Input((3,))
    graph = mf.Graph(x, x @ table)
    assert [p for _, p in graph.named_parameters()] == [table]
    by_differences(graph, normal(4, 3))


def test_a_cut_graph_keeps_the_names_of_its_parameters():
    x = mf.Input((3,))
    graph = mf.Graph(x, Linear(3, 2).named("last")(Weighted().named("net")(x)))
    first, second = graph.split("last")
    assert [name for name, _ in first.named_parameters()] == ["net.fc.weight", "net.fc.bias", "net.scale"]
    data = array(4, 3)
    close(second(first(data)), graph(data))


def test_files_copies_and_pickles_hold_them(tmp_path):
    model, x = Scaled(), array(4, 3)
    model(x)
    model.save(tmp_path / "model")
    for other in (mf.load(tmp_path / "model"), copy.deepcopy(model)):
        close(other(x), model(x))
        other.scale.value = other.scale.value * 2
        other(x)
        other.backward(mx.ones((4, 2)))
        assert model.scale.grad is None and other.scale.grad is not None
    p = pickle.loads(pickle.dumps(mf.Parameter(mx.ones(2), trainable=False)))
    assert p.value.tolist() == [1, 1] and not p.trainable


def test_trace_summary_and_backward_steps_show_them():
    model, x, y = Weighted(), array(5, 3), array(5, 3, seed=2)
    seen = mf.trace(model, x, mf.MSELoss(), y)
    assert [layer.name for layer in seen] == ["fc", "scale", "multiply", "scale#2", "add"]
    steps = {step.name: step for step in mf.backward_steps(model, mf.MSELoss(), x, y)}
    close(steps["scale"].parameter_grads["parameter"] + steps["scale#2"].parameter_grads["parameter"], model.scale.grad)
    assert "dp = dz" in steps["scale"].formula
    rows = {row.name: row for row in model.summary((3,)).rows}
    assert (rows["scale"].output_shape, rows["scale"].parameters, rows["scale#2"].parameters) == ((3,), 3, 0)
    assert "scale     Learned(3)      (3,) " in str(model.summary((3,)))


def test_per_sample_gradients_reach_them():
    model, x, y = Weighted(), array(5, 3), array(5, 3, seed=2)
    grads = mf.per_sample_gradients(model, mf.MSELoss(), x, y)
    loss = mf.MSELoss()
    loss(model(x), y)
    model.zero_grad()
    model.backward(loss.gradient())
    close(grads["scale"].mean(axis=0), model.scale.grad)


def test_constants_of_two_parameters_are_recorded_in_a_forward_and_arrays_elsewhere():
    class Constant(mf.Module):
        def __init__(self):
            self.a, self.b = mf.Parameter(array(2, 2)), mf.Parameter(array(2, seed=1))

        def forward(self, x):
            return x + (self.a @ self.b) * self.b.sum() + F.concatenate([self.b, self.b[:1]])[1:]

    model = Constant()
    by_differences(model, normal(4, 2))
    assert isinstance(model.a @ model.b, mx.array) and isinstance(F.exp(model.a), mx.array)
    assert isinstance(model.b * mf.Variable(1.0), mf.Node)


@pytest.mark.parametrize(
    "read, expected",
    [
        (np.asarray, [[1, 2], [3, 4]]),
        (mx.array, [[1, 2], [3, 4]]),
        (lambda p: p.T, [[1, 3], [2, 4]]),
        (lambda p: p[1], [3, 4]),
        (lambda p: mx.sqrt(p * p), [[1, 2], [3, 4]]),
        (lambda p: 2 - p, [[1, 0], [-1, -2]]),
        (lambda p: mx.ones((2, 2)) + p, [[2, 3], [4, 5]]),
        (lambda p: np.ones((2, 2), np.float32) + p, [[2, 3], [4, 5]]),
        (lambda p: mx.stack(list(p)), [[1, 2], [3, 4]]),
        (lambda p: p.reshape(4), [1, 2, 3, 4]),
        (lambda p: p.mean(axis=0), [2, 3]),
        (lambda p: p > 2, [[False, False], [True, True]]),
    ],
)
def test_elsewhere_a_parameter_behaves_like_its_array(read, expected):
    assert read(mf.Parameter([[1.0, 2.0], [3.0, 4.0]])).tolist() == expected


def test_a_parameter_says_its_length_axes_and_type():
    p = mf.Parameter(mx.zeros((3, 2)))
    assert (len(p), p.ndim, p.dtype, p.shape, p.size) == (3, 2, mx.float32, (3, 2), 6)
    assert p and mf.Parameter(0.0) and p in [p] and {p: 1}[p] == 1
    assert repr(p) == "Parameter(shape=(3, 2), dtype=float32)"
