"""Layers inserted into a model that is already wired, and taken out again."""

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, close, normal

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Sequential, Tanh, Tap


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
def test_removing_a_tap_restores_the_model_and_its_names(make):
    model = make()
    data = array(5, 3)
    names, value = [name for name, _ in model.named_parameters()], model(data)
    gradient = model.backward(mx.ones((5, 2)))
    tap = Tap(lambda x: x * 0)
    model.insert("act", tap, name="zero").insert("first", Tap())
    assert "zero" in dict(model.named_modules()) and "tap" in dict(model.named_modules())
    assert not mx.array_equal(model(data), value)
    assert model.remove("zero") is tap
    model.remove("tap")
    assert mx.array_equal(model(data), value)
    assert [name for name, _ in model.named_parameters()] == names
    assert mx.array_equal(model.backward(mx.ones((5, 2))), gradient) and gradient.shape == (5, 3)


@MODELS
def test_other_layers_may_be_inserted_too(make):
    model = make().insert("first", ReLU()).insert("first", Linear(4, 4), name="extra")
    assert [n for n in dict(model.named_modules()) if n in ("first", "extra", "relu", "act")] == (
        ["first", "extra", "relu", "act"] if isinstance(model, Sequential) else ["first", "act", "relu", "extra"]
    )
    data = array(5, 3)
    m = dict(model.named_modules())
    close(model(data), m["last"](mx.tanh(mx.maximum(m["extra"](m["first"](data)), 0))))
    by_differences(model, normal(5, 3))


def test_paths_lead_into_inner_models():
    model = Sequential({"encoder": Sequential(Linear(3, 4), ReLU()), "head": Linear(4, 1)})
    seen = []
    model.insert("encoder.0", Tap(seen.append), name="look")
    assert list(model["encoder"].layers) == ["0", "look", "1"]
    model(array(2, 3))
    assert seen[0].shape == (2, 4)
    model.remove("encoder.look")
    assert list(model["encoder"].layers) == ["0", "1"]
    x = Input((3,))
    inner = Graph(x, model(x))
    inner.insert("sequential.encoder.0", Tap(seen.append))
    inner(array(2, 3))
    assert len(seen) == 2 and seen[1].shape == (2, 4)


def test_a_tap_at_the_front():
    model, g = Sequential(Linear(3, 1)), graph()
    model.insert(None, Tap(lambda x: x * 0))
    g.insert("x", Tap(lambda x: x * 0))
    for m in (model, g):
        assert mx.array_equal(m(array(2, 3)), m(array(2, 3, seed=1)))


def test_a_tap_in_front_of_several_consumers_serves_them_all():
    x = Input((3,), name="x")
    h = Tanh()(x)
    g = Graph(x, [h + x, h * 2])
    g.insert("tanh", Tap(lambda v: v * 0))
    data = array(2, 3)
    a, b = g(data)
    assert mx.array_equal(a, data) and not mx.abs(b).sum().item()
    g.insert("multiply", Tap(lambda v: v + 1))
    assert g(data)[1].tolist() == [[1] * 3] * 2


def test_a_tap_in_one_graph_leaves_a_graph_with_the_same_nodes_alone():
    x = Input((3,))
    h = Tanh()(Linear(3, 4)(x))
    whole, features = Graph(x, Linear(4, 1)(h)), Graph(x, h)
    data = array(2, 3)
    before = features(data), whole(data)
    features.insert("linear", Tap(lambda v: v * 0))
    whole.insert("linear", Tap(lambda v: v * 0))
    whole.remove("tap")
    assert not mx.array_equal(features(data), before[0])
    assert mx.array_equal(whole(data), before[1])


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Tap(forward=3), TypeError, "Tap: expected functions of one array, got 3"),
        (lambda: Tap(lambda x: x[0])(mx.zeros((2, 3))), ValueError, r"Tap\(forward\): expected its function to return"),
        (lambda: sequential().insert("nothing", Tap()), KeyError, "no layer 'nothing'"),
        (lambda: sequential().insert("first", Tap(), name="act"), ValueError, "already a layer named 'act'"),
        (lambda: sequential().insert("first", Tap), TypeError, "the class Tap; write Tap()"),
        (lambda: sequential().insert("first.0", Tap()), TypeError, "expected a Sequential or Graph at 'first'"),
        (lambda: sequential().remove("nothing"), KeyError, "no layer 'nothing'"),
        (lambda: graph().insert("nothing", Tap()), KeyError, "no node 'nothing'"),
        (lambda: graph().insert("first", Tap(), name="act"), ValueError, "already a node named 'act'"),
        (lambda: graph().insert("first", Tap), TypeError, "expected a module to insert"),
        (lambda: graph().remove("x"), ValueError, "cannot remove 'x': it is no layer of the graph itself"),
    ],
)
def test_what_cannot_be_done_is_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_layer_with_several_inputs_cannot_be_left_out():
    x = Input((3,))
    g = Graph(x, Tanh()(x) + x)
    with pytest.raises(ValueError, match="cannot remove 'add': only a layer with one input"):
        g.remove("add")


def test_layers_are_named_by_their_position_among_the_calls_too():
    x = mf.Input((2,))
    graph = mf.Graph(x, mf.Linear(3, 1)(mf.ReLU()(mf.Linear(2, 3)(x))))
    assert graph[0] is graph["linear"] and graph[-1] is graph["linear_2"]
    graph.insert(0, mf.Tanh(), "squash")
    assert list(graph.names) == ["input", "linear", "squash", "relu", "linear_2"]
    assert isinstance(graph.remove(2), mf.ReLU)
    assert isinstance(graph.remove(-2), mf.Tanh)
    assert graph(mx.ones((1, 2))).shape == (1, 1)
    with pytest.raises(IndexError, match="Graph: no layer 5; it has 2: linear, linear_2"):
        graph.remove(5)
