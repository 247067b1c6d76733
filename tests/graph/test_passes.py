"""One pass over a model: every call in order, by name, with its value and gradient."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import Graph, Input, Linear, Sequential, Tanh
from miniframe.graph.passes import Pass
from miniframe.layers.arithmetic import Power
from miniframe.layers.combine import Split


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


class Block(mf.Module):
    """Two operations that belong to no layer, and a layer that is called twice."""

    def __init__(self):
        self.inner = Linear(3, 3)

    def forward(self, x):
        return self.inner(self.inner(x) + x) + x


class TwoByTwo(mf.Module):
    """Two inputs, two outputs."""

    def __init__(self):
        self.a, self.b = Linear(2, 3), Linear(4, 3)

    def forward(self, x, y):
        h = self.a(x) + self.b(y)
        return h, Tanh()(h)


class Halves(mf.Module):
    """A layer with several outputs inside."""

    def __init__(self):
        self.first, self.last = Linear(3, 4), Linear(2, 2)

    def forward(self, x):
        left, right = mf.split(self.first(x), 2, axis=1)
        return self.last(left * right)


def repeated():
    layer = Linear(3, 3)
    return Sequential(layer, Tanh(), layer, layer)


def graph():
    x = Input((3,), name="x")
    h = Linear(3, 3)(x).named("h")
    return Graph(x, Sequential(Block(), Tanh()).named("encoder")(h) + h)


@pytest.mark.parametrize(
    "make, names",
    [
        (lambda: Linear(3, 2), ["linear"]),
        (repeated, ["0", "1", "0#2", "0#3"]),
        (Block, ["inner", "add", "inner#2", "add_2"]),
        (lambda: Sequential({"block": Block()}), ["block.inner", "block.add", "block.inner#2", "block.add_2"]),
        (
            lambda: Sequential(Sequential(Block()), Block()),
            ["0.0.inner", "0.0.add", "0.0.inner#2", "0.0.add_2", "1.inner", "1.add", "1.inner#2", "1.add_2"],
        ),
        (Halves, ["first", "split", "split[0]", "split[1]", "multiply", "last"]),
        (lambda: Sequential(Block(), Sequential(mf.Residual(Linear(3, 3)))),
         ["0.inner", "0.add", "0.inner#2", "0.add_2", "1.0.block", "1.0.add"]),
        (graph, ["h", "encoder.0.inner", "encoder.0.add", "encoder.0.inner#2", "encoder.0.add_2", "encoder.1", "add"]),
    ],
)  # fmt: skip
def test_calls_are_named_by_their_path_and_numbered_where_they_repeat(make, names):
    model = make()
    seen = Pass(model, array(5, 3))
    assert list(seen.calls) == names
    assert mx.array_equal(seen.output, model(array(5, 3)))
    paths = dict(model.named_modules())
    for name, node in seen.calls.items():
        if name.partition("#")[0] in paths and name != "linear":
            assert node.module is paths[name.partition("#")[0]]


def test_parts_of_a_layer_with_several_outputs_are_no_layers():
    seen = Pass(Halves(), array(5, 3))
    layers = dict(seen.layers())
    assert list(layers) == ["first", "split", "multiply", "last"]
    assert [part.shape for part in layers["split"].value] == [(5, 2), (5, 2)]
    assert [title for title in map(seen.title, seen.calls)][:2] == [
        "layer 'first', Linear(3 -> 4)",
        Split(2, 1).title(),
    ]


def test_several_inputs_and_outputs_go_forward_and_back():
    model, x, y = TwoByTwo(), array(5, 2), array(5, 4, seed=1)
    seen = Pass(model, (x, y))
    assert list(seen.calls) == ["a", "b", "add", "tanh"] and len(seen.inputs) == 2
    for found, expected in zip(seen.output, model(x, y), strict=True):
        assert mx.array_equal(found, expected)
    upstream = array(5, 3, seed=2), array(5, 3, seed=3)
    expected = model.backward(upstream)
    grads = [p.grad for p in model.parameters()]
    model.zero_grad()
    assert [step.name for step in seen.backward(upstream)] == ["tanh", "add", "b", "a"]
    for node, grad in zip(seen.inputs, expected, strict=True):
        close(node.grad, grad)
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        close(parameter.grad, grad)


def test_numbers_as_inputs_stay_numbers():
    seen = Pass(Power(), (mx.array([1.0, 2.0, 3.0]), 2))
    assert seen.inputs[1].value == 2 and seen.output.tolist() == [1, 4, 9]
    list(seen.backward(mx.ones(3)))
    assert seen.inputs[0].grad.tolist() == [2, 4, 6] and seen.inputs[1].grad is None


def test_lists_and_numpy_arrays_become_arrays():
    seen = Pass(Tanh(), np.zeros((2, 3)))
    assert seen.inputs[0].value.dtype == mx.float32 and seen.output.shape == (2, 3)


def test_every_step_says_what_its_call_added():
    model, x = repeated(), array(5, 3)
    upstream = array(5, 3, seed=1)
    model(x)
    dx = model.backward(upstream)
    weight, bias = model[0].weight.grad, model[0].bias.grad
    seen = Pass(model, x)
    model.zero_grad()
    steps = {step.name: step for step in seen.backward(upstream)}
    assert list(steps) == ["0#3", "0#2", "1", "0"] and steps["1"].parameter_grads == {}
    added = [steps[name].parameter_grads for name in ("0", "0#2", "0#3")]
    assert all(set(grads) == {"weight", "bias"} for grads in added)
    close(sum(grads["weight"] for grads in added), weight)
    close(sum(grads["bias"] for grads in added), bias)
    close(model[0].weight.grad, weight)
    close(steps["0"].grad_inputs[0], dx)
    close(steps["0#2"].node.grad, steps["0#3"].grad_inputs[0])


def test_gradients_that_were_there_before_are_added_to():
    model, x = Linear(3, 2), array(5, 3)
    seen = Pass(model, x)
    model.zero_grad()
    model.weight.grad = mx.ones((2, 3))
    (step,) = seen.backward(mx.ones((5, 2)))
    close(model.weight.grad, step.parameter_grads["weight"] + 1)
    close(step.parameter_grads["bias"], [5, 5])


def test_the_gradient_passes_a_layer_with_several_outputs():
    model, x = Halves(), array(5, 3)
    model(x)
    dx = model.backward(mx.ones((5, 2)))
    grad = model.first.weight.grad
    seen = Pass(model, x)
    model.zero_grad()
    steps = {step.name: step for step in seen.backward(mx.ones((5, 2)))}
    assert [name for name in steps if "[" not in name] == ["last", "multiply", "split", "first"]
    assert [g.shape for g in steps["split"].node.grad] == [(5, 2), (5, 2)]
    close(steps["first"].grad_inputs[0], dx)
    close(model.first.weight.grad, grad)


def test_a_node_that_the_model_kept_from_elsewhere_is_a_constant_of_the_pass():
    class Shifted(mf.Module):
        def __init__(self):
            self.layer = Linear(3, 3)

        def forward(self, x):
            return self.layer(x) + mx.ones(3)

    assert list(Pass(Shifted(), array(2, 3)).calls) == ["layer", "add"]


@pytest.mark.parametrize("where", ["Pass", "trace"])
def test_under_no_grad_there_is_nothing_to_record(where):
    with mf.no_grad(), pytest.raises(RuntimeError, match=f"^{where}: nothing is recorded under no_grad$"):
        Pass(Linear(3, 2), array(5, 3), where)


def test_a_gradient_that_does_not_fit_is_refused():
    seen = Pass(Linear(3, 2), array(5, 3))
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(5, 2\), got \(5, 3\)"):
        list(seen.backward(array(5, 3)))
    with pytest.raises(ValueError, match="expected a tuple of 1 gradients, one for each output, got 2"):
        list(seen.backward((array(5, 2), array(5, 2))))


def test_a_parameter_in_a_forward_is_called_by_its_path():
    class Scaled(mf.Module):
        def __init__(self):
            self.scale = mf.Parameter(mx.ones(2))

        def forward(self, x):
            return x * self.scale + self.scale

    seen = Pass(mf.Sequential(Scaled()), mx.ones((1, 2)))
    assert list(seen.calls) == ["0.scale", "0.multiply", "0.scale#2", "0.add"]
    assert [seen.title(name) for name in ("0.scale", "0.scale#2")] == ["parameter '0.scale'", "parameter '0.scale#2'"]
