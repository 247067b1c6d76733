"""trace: every layer's input, output and gradients, without a trace left in the model."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import BatchNorm, Dropout, Graph, Input, Linear, MSELoss, ReLU, Sequential, Tanh


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


class Custom(mf.Module):
    def __init__(self):
        self.inner, self.out = Sequential(Linear(3, 4), Tanh()), Linear(4, 2)

    def forward(self, x):
        h = self.inner(x)
        return self.out(h * 2) + self.out(h)


def graph():
    x = Input((3,))
    return Graph(x, Linear(4, 2)(Sequential(Linear(3, 4), ReLU()).named("encoder")(x)).named("head"))


def test_every_layer_shows_what_it_got_and_gave():
    model = Sequential(Linear(3, 4), Tanh(), Linear(4, 2))
    data, target = array(5, 3), array(5, 2, seed=1)
    seen = mf.trace(model, data, MSELoss(), target)
    assert [t.name for t in seen] == ["0", "1", "2"] and len(seen) == 3
    assert mx.array_equal(seen["0"].inputs[0], data)
    assert mx.array_equal(seen["1"].output, mx.tanh(seen["0"].output))
    assert mx.array_equal(seen.output, seen["2"].output)
    loss = MSELoss(model)
    assert seen.loss.item() == loss(model(data), target).item()
    assert mx.array_equal(seen.grad_inputs[0], loss.backward())
    close(seen["1"].grad_inputs[0], seen["1"].grad_output * (1 - seen["1"].output ** 2))
    for name in ("0", "2"):
        layer = seen[name].module
        assert mx.array_equal(seen[name].parameter_grads["weight"], layer.weight.grad)
        assert mx.array_equal(seen[name].parameter_grads["bias"], layer.bias.grad)


def test_without_a_loss_there_are_values_only():
    seen = mf.trace(Sequential(Linear(3, 4), ReLU()), array(5, 3))
    assert seen["1"].output.shape == (5, 4)
    assert seen.loss is None and seen["0"].grad_output is None and seen["0"].parameter_grads == {}


@pytest.mark.parametrize(
    "make, names",
    [
        (Custom, ["inner.0", "inner.1", "multiply", "out", "out#2", "add"]),
        (graph, ["encoder.0", "encoder.1", "head"]),
        (lambda: Linear(3, 2), ["linear"]),
        (lambda: Sequential(Sequential(graph())), ["0.0.encoder.0", "0.0.encoder.1", "0.0.head"]),
    ],
)
def test_any_kind_of_model_is_traced_by_the_paths_of_its_layers(make, names):
    assert [t.name for t in mf.trace(make(), array(5, 3), MSELoss(), array(5, 2))] == names


def test_a_layer_called_twice_shows_each_call_its_own_gradient():
    model = Custom()
    seen = mf.trace(model, array(5, 3), MSELoss(), array(5, 2, seed=1))
    model.zero_grad()
    loss = MSELoss(model)
    loss(model(array(5, 3)), array(5, 2, seed=1))
    loss.backward()
    close(seen["out"].parameter_grads["weight"] + seen["out#2"].parameter_grads["weight"], model.out.weight.grad)


def test_the_model_is_left_as_it_was():
    model = Sequential(Linear(3, 4), BatchNorm(4), Dropout(0.5), Linear(4, 2))
    data, target = array(5, 3), array(5, 2)
    loss = MSELoss(model)
    loss(model(data), target)
    before = [(b, b.value) for b in model.buffers()], [(p, p.grad) for p in model.parameters()], mf.random.get_state()
    mf.trace(model, array(7, 3), MSELoss(), array(7, 2))
    assert all(mx.array_equal(b.value, value) for b, value in before[0])
    assert all(p.grad is grad is None for p, grad in before[1])
    assert mx.array_equal(mf.random.get_state()[0], before[2][0])
    assert loss.backward().shape == (5, 3)  # what forward had saved for the batch of five is still there


def test_several_inputs_and_outputs():
    class Two(mf.Module):
        def __init__(self):
            self.a = Linear(2, 3)

        def forward(self, x, y):
            h = self.a(x) + y
            return h, h.sum()

    seen = mf.trace(Two(), (array(4, 2), array(4, 3)))
    assert [t.name for t in seen] == ["a", "add", "sum"]
    assert [o.shape for o in seen.output] == [(4, 3), ()]


def test_it_prints_as_a_table():
    text = repr(mf.trace(Sequential(Linear(3, 4), ReLU()), array(5, 3), MSELoss(), array(5, 4)))
    lines = text.splitlines()
    assert lines[0].split("  ")[0] == "name" and "mean |grad|" in lines[0]
    assert "Linear(3 -> 4)" in lines[2] and "(5, 4)" in lines[2] and lines[-1].startswith("loss ")


def test_mistakes_are_clear_errors():
    model = Sequential(Linear(3, 2))
    with pytest.raises(ValueError, match="trace: expected a loss and a target, or neither"):
        mf.trace(model, array(5, 3), MSELoss())
    with mf.no_grad(), pytest.raises(RuntimeError, match="trace: nothing is recorded under no_grad"):
        mf.trace(model, array(5, 3))
    with pytest.raises(KeyError, match="trace: no layer 'x'; it has 0"):
        mf.trace(model, array(5, 3))["x"]


def test_a_trace_is_indexed_by_position_too_and_takes_the_name_of_a_loss():
    model, x, y = mf.Sequential(mf.Linear(2, 3), mf.ReLU()), mx.ones((4, 2)), mx.zeros((4, 3))
    by_name, by_object = mf.trace(model, x, "mse", y), mf.trace(model, x, mf.MSELoss(), y)
    assert by_name[0] is by_name["0"] and by_name[-1] is by_name["1"]
    assert by_name.loss.item() == by_object.loss.item()
    assert mx.array_equal(by_name[0].parameter_grads["weight"], by_object["0"].parameter_grads["weight"])
    with pytest.raises(KeyError, match="trace: no layer 2; it has 0, 1"):
        by_name[2]
    with pytest.raises(ValueError, match="unknown loss 'mean'; known: mse"):
        mf.trace(model, x, "mean", y)
    names = [step.name for step in mf.backward_steps(model, "mse", x, y)]
    assert names == ["loss", "1", "0"] and mf.jacobian_route(model, "mse", x, y).error < 1e-6
