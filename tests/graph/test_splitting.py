"""One model as two: what crosses the boundary is one array, and on the way back its gradient."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe import BatchNorm, Graph, Input, Linear, ReLU, Sequential, Tanh


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def sequential():
    return Sequential(Linear(3, 8), Tanh(), BatchNorm(8), Linear(8, 6), ReLU(), Linear(6, 2))


def nested():
    return Sequential({"encoder": Sequential(Linear(3, 8), Tanh(), Linear(8, 6)), "act": ReLU(), "head": Linear(6, 2)})


def graph():
    x = Input((3,), name="x")
    h = Tanh()(Linear(3, 8)(x).named("first")).named("act")
    h = Linear(8, 6)(h).named("middle")
    h = (ReLU()(h) + h).named("sum")
    return Graph(x, Linear(6, 2)(h).named("last"))


CUTS = [(sequential, k) for k in range(1, 6)] + [
    (sequential, "3"),
    (nested, "act"),
    (nested, "encoder.1"),
    (nested, "encoder.2"),
    (nested, -1),
    (graph, "act"),
    (graph, "middle"),
    (graph, "last"),
    (graph, 1),
]


@pytest.mark.parametrize("make, at", CUTS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_fifty_steps_of_the_halves_equal_the_whole_model_bit_for_bit(make, at):
    whole = make()
    first, second = copy.deepcopy(whole).split(at)
    loss, loss_of_halves = mf.MSELoss(whole), mf.MSELoss()
    optimizer = mf.SGD(whole, lr=0.05, momentum=0.9)
    optimizers = [mf.SGD(part, lr=0.05, momentum=0.9) for part in (first, second) if list(part.parameters())]
    losses = []
    for step in range(50):
        x = array(10, 3, seed=step)
        y = x[:, :2] - x[:, 1:]
        value = loss(whole(x), y)
        whole.zero_grad()
        dx = loss.backward()
        optimizer.step()

        value_of_halves = loss_of_halves(second(first(x)), y)
        first.zero_grad()
        second.zero_grad()
        grad = second.backward(loss_of_halves.backward())
        dx_of_halves = first.backward(grad)
        for each in optimizers:
            each.step()
        losses.append(value.item())
        assert losses[-1] == value_of_halves.item()
        assert mx.array_equal(dx, dx_of_halves)
    halves = dict(first.named_parameters()) | dict(second.named_parameters())
    for name, parameter in whole.named_parameters():
        assert mx.array_equal(parameter.value, halves[name].value), name
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("make, at", CUTS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_the_halves_share_nothing(make, at):
    first, second = make().split(at)
    assert not {id(c) for c in (*first.parameters(), *first.buffers())} & {
        id(c) for c in (*second.parameters(), *second.buffers())
    }


def test_the_second_half_begins_with_the_named_layer():
    first, second = sequential().split("3")
    assert (list(first.layers), list(second.layers)) == (["0", "1", "2"], ["3", "4", "5"])
    first, second = graph().split("middle")
    assert (list(first.names), list(second.names)) == (["x", "first", "act"], ["act", "middle", "relu", "sum", "last"])
    assert second.inputs[0] is first.outputs[0]


def test_halves_are_models_of_their_own():
    first, second = graph().split("middle")
    data = array(4, 3)
    target = array(4, 8)
    before = [p.value for p in second.parameters()]
    first.fit(data, target, loss="mse", optimizer="sgd", epochs=2, verbose=0, compile=False)
    assert all(mx.array_equal(p.value, value) for p, value in zip(second.parameters(), before))
    second.insert("act", mf.Tap())
    assert second.split("middle")[1](second.split("middle")[0](first(data))).shape == (4, 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sequential().split(0), "expected a layer behind the first of 6, got 0: one part is empty"),
        (lambda: sequential().split(6), "one part is empty"),
        (lambda: graph().split("first"), "one part is empty"),
        (lambda: graph().split("x"), "expected the name of a layer, got 'x', which is an Input"),
        (lambda: graph().split("sum"), "expected one array to cross the cut at 'sum', got 2: middle, relu"),
    ],
)
def test_cuts_that_cannot_be_made_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("at", ["nothing", 9, "act.0"])
def test_unknown_layers_are_errors(at):
    with pytest.raises((KeyError, IndexError, TypeError), match="nothing|9|act"):
        nested().split(at)


def test_a_layer_on_both_sides_is_an_error():
    shared = Linear(3, 3)
    with pytest.raises(ValueError, match=r"split: '2.weight' is used on both sides of the cut at 1"):
        Sequential(shared, Tanh(), shared).split(1)
    x = Input((3,))
    with pytest.raises(ValueError, match="is used on both sides of the cut at 'tanh'"):
        Graph(x, shared(Tanh()(shared(x)))).split("tanh")
