"""Graph: models recorded once on placeholders, in any arrangement."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, by_mx_grad, close, normal

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Sequential, Tanh


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def residual():
    x = Input((4,), name="x")
    h = Tanh()(Linear(4, 4)(x)).named("hidden")
    return Graph(x, Linear(4, 3)(h + x))


def branching():
    x = Input((4,), name="x")
    left, right = ReLU()(Linear(4, 3)(x)), Tanh()(Linear(4, 2)(x))
    return Graph(x, Linear(5, 2)(mf.concatenate([left, right], axis=1)))


def test_a_plain_chain_gives_the_numbers_of_sequential():
    layers = [Linear(4, 5), ReLU(), Linear(5, 3)]
    sequential = Sequential(*layers)
    x = Input((4,))
    node = x
    for layer in layers:
        node = layer(node)
    graph, data, upstream = Graph(x, node), array(7, 4), array(7, 3, seed=1)
    assert mx.array_equal(sequential(data), graph(data))
    first = sequential.backward(upstream)
    grads = [p.grad for p in sequential.parameters()]
    sequential.zero_grad()
    assert mx.array_equal(first, graph.backward(upstream))
    assert all(mx.array_equal(a, p.grad) for a, p in zip(grads, graph.parameters()))


@pytest.mark.parametrize("make", [residual, branching], ids=["residual", "branching"])
@pytest.mark.parametrize("batch", [1, 5])
def test_backward_agrees_with_the_witnesses(make, batch):
    by_differences(make(), normal(batch, 4))
    by_mx_grad(make(), normal(batch, 4))


def test_nodes_stand_in_execution_order_and_know_their_antecedents():
    graph = residual()
    assert list(graph.names) == ["x", "linear", "hidden", "add", "linear_2"]
    assert graph["add"].inputs == (graph["hidden"], graph["x"])
    assert [node.operation for node in graph.nodes] == ["Input", "Linear", "Tanh", "Add", "Linear"]


def test_values_and_gradients_of_the_latest_pass_are_in_the_nodes():
    x, y, z = Input(name="x"), Input(name="y"), Input(name="z")
    f = (x + y) * z
    graph = Graph([x, y, z], f)
    assert graph(-2.0, 5.0, -4.0).item() == -12
    grads = graph.backward(mx.array(1.0))
    assert [g.item() for g in grads] == [n.grad.item() for n in (x, y, z)] == [-4, -4, 3]
    assert (graph["add"].value.item(), graph["add"].grad.item()) == (3, -4)
    assert graph["multiply"] is f
    graph(1.0, 1.0, 1.0)
    assert f.value.item() == 2 and f.grad is None and x.grad is None


def test_several_inputs_and_outputs():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    h = Linear(2, 3)(a) + b
    graph = Graph([a, b], [h, Tanh()(h)])
    out = graph(array(4, 2), array(4, 3))
    assert [o.shape for o in out] == [(4, 3), (4, 3)]
    first = graph.backward((mx.ones((4, 3)), mx.zeros((4, 3))))
    second = graph.backward((mx.zeros((4, 3)), mx.ones((4, 3))))
    both = graph.backward((mx.ones((4, 3)), mx.ones((4, 3))))
    for i in range(2):
        close(both[i], first[i] + second[i])
    with pytest.raises(ValueError, match="expected a tuple of 2 gradients, one for each output, got array"):
        graph.backward(mx.ones((4, 3)))


def test_a_model_inside_a_model_flattens_and_its_layers_are_reached_by_path():
    x = Input((4,))
    encoder = Sequential(Linear(4, 3), Sequential({"act": ReLU(), "out": Linear(3, 3)})).named("encoder")
    graph = Graph(x, Linear(3, 2)(encoder(x)).named("head"))
    assert list(graph.names) == ["input", "encoder.0", "encoder.1.act", "encoder.1.out", "head"]
    assert [name for name, _ in graph.named_parameters()][:2] == ["encoder.0.weight", "encoder.0.bias"]
    modules = dict(graph.named_modules())
    assert all(modules[name] is node.module for name, node in graph.names.items() if node.module)
    outer_input = Input((4,))
    outer = Graph(outer_input, Tanh()(graph(outer_input)))
    assert outer["graph.encoder.1.out"].module is encoder[1]["out"]
    data = array(5, 4)
    assert mx.array_equal(outer(data), mx.tanh(graph(data)))


def test_a_path_reaches_a_layer_whose_node_was_given_a_name():
    x = Input((4,))
    graph = Graph(x, Sequential(Linear(4, 3), ReLU()).named("block")(x).named("features"))
    assert graph["features"] is graph["block.1"]


def test_operations_inside_a_custom_model_are_named_after_it():
    class Block(mf.Module):
        def __init__(self):
            self.inner = Linear(3, 3)

        def forward(self, x):
            return self.inner(x) * 2 + x

    x = Input((3,))
    graph = Graph(x, Block()(Block()(x)))
    assert [n for n in graph.names if "add" in n or "inner" in n] == [
        "block.inner",
        "block.add",
        "block_2.inner",
        "block_2.add",
    ]
    by_differences(graph, normal(4, 3))


def test_a_layer_used_twice_adds_up_its_gradient():
    layer = Linear(3, 3)
    x = Input((3,))
    graph = Graph(x, layer(Tanh()(layer(x))))
    assert list(graph.names) == ["input", "linear", "tanh", "linear#2"]
    assert len(list(graph.parameters())) == 2
    by_differences(graph, normal(4, 3))
    by_mx_grad(graph, normal(4, 3))


def test_a_graph_used_twice_in_another_model_keeps_both_calls_apart():
    x = Input((3,))
    inner = Graph(x, Tanh()(Linear(3, 3)(x)))
    by_differences(Sequential(inner, inner), normal(4, 3))


def test_a_part_of_a_graph_is_a_graph():
    x = Input((4,))
    h = Tanh()(Linear(4, 3)(x))
    y = Linear(3, 2)(h)
    whole, head, features = Graph(x, y), Graph(h, y), Graph(x, h)
    data = array(5, 4)
    expected = whole(data)
    assert mx.array_equal(head(features(data)), expected)
    upstream = array(5, 2, seed=1)
    assert mx.array_equal(features.backward(head.backward(upstream)), whole.backward(upstream))


def test_constants_and_variables_may_take_part():
    x = Input((2,))
    shift = mf.Variable([1.0, 2.0], name="shift")
    graph = Graph(x, (x + shift) * 0.1)
    close(graph(mx.zeros((1, 2))), [[0.1, 0.2]])
    graph.backward(mx.ones((1, 2)))
    close(shift.grad, [0.1, 0.1])
    assert "shift" in graph.names


def test_a_layer_with_several_outputs_in_a_graph():
    x = Input((4,))
    left, right = mf.split(x, 2, axis=1)
    graph = Graph(x, left * Tanh()(right))
    assert "split[0]" in graph.names and "split[1]" in graph.names
    by_differences(graph, normal(3, 4))
    by_mx_grad(graph, normal(3, 4))
    unused = Graph(x, right)
    unused(array(3, 4))
    close(unused.backward(mx.ones((3, 2))), [[0, 0, 1, 1]] * 3)


def test_shapes_are_known_before_any_data():
    graph = branching()
    assert graph["concatenate"].shape == (None, 5)
    assert graph["linear_3"].shape == (None, 2)


def test_no_grad_keeps_nothing_and_backward_says_so():
    graph = residual()
    graph(array(2, 4))
    with mf.no_grad():
        graph(array(2, 4))
    assert graph["hidden"].value is None
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        graph.backward(mx.ones((2, 3)))


def test_a_compiled_fit_leaves_no_tracers_in_the_nodes():
    x = Input((4,))
    graph = Graph(x, Linear(4, 1)(x))
    graph.fit(array(8, 4), array(8, 1), loss="mse", optimizer="sgd", epochs=2, batch_size=4, verbose=0)
    assert graph["linear"].value is None
    graph(array(2, 4))
    layer = graph["linear"].module
    close(graph["linear"].value, array(2, 4) @ layer.weight.value.T + layer.bias.value)


def test_fit_compiled_equals_fit_by_hand():
    first = residual()
    second = copy.deepcopy(first)
    data, target = array(20, 4), array(20, 3, seed=1)
    for graph, compiled in ((first, True), (second, False)):
        graph.fit(
            data,
            target,
            loss="mse",
            optimizer=mf.SGD(graph, lr=0.1),
            epochs=3,
            batch_size=5,
            seed=0,
            verbose=0,
            compile=compiled,
        )
    for p, q in zip(first.parameters(), second.parameters()):
        close(p.value, q.value)


def test_freezing_a_layer_lets_the_gradient_through():
    graph = residual()
    graph["linear_2"].module.freeze()
    graph(array(2, 4))
    dx = graph.backward(mx.ones((2, 3)))
    assert graph["linear_2"].module.weight.grad is None
    assert graph["linear"].module.weight.grad is not None and mx.abs(dx).sum().item() > 0


def test_a_copy_shares_nothing():
    graph = residual()
    twin = copy.deepcopy(graph)
    data = array(3, 4)
    assert mx.array_equal(graph(data), twin(data))
    twin.backward(mx.ones((3, 3)))
    assert all(p.grad is None for p in graph.parameters())
    assert twin["hidden"] is not graph["hidden"]


def test_a_thousand_layers_build_run_and_go_backward():
    x = node = Input((2,))
    layers = [Linear(2, 2) for _ in range(1000)]
    for layer in layers:
        layer.weight.value = mx.eye(2)
        node = layer(node)
    graph = Graph(x, node)
    graph(mx.zeros((1, 2)))
    close(graph.backward(mx.ones((1, 2))), [[1, 1]])
    assert len(graph) == 1001 and layers[0].bias.grad.tolist() == [1, 1]
    copy.deepcopy(graph)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda x, y: Graph([x, y], Tanh()(x)), "input 'b' is disconnected: no output depends on it"),
        (lambda x, y: Graph(x, x + y), "depend on 'b', which is not among the inputs"),
        (lambda x, y: Graph(x, [Tanh()(x), Tanh()(mf.Variable(1.0)).named("loose")]), "output 'loose' is disconn"),
        (lambda x, y: Graph([x, x], Tanh()(x)), "an input is listed twice"),
        (
            lambda x, y: Graph(x, Tanh()(Tanh()(x).named("h")).named("h")),
            r"two layers are named 'h': Tanh\(\) and Tanh\(\)",
        ),
        (lambda x, y: Graph(x, (Tanh()(x).named("a"))), "two nodes are named 'a'"),
        (lambda x, y: Graph([], Tanh()(x)), "expected at least one node as inputs"),
        (lambda x, y: Graph(x, Linear(3, 1)(x)), r"Linear\(3 -> 1\): expected input \(batch, 3\), got \(1, 2\)"),
    ],
)
def test_what_is_not_connected_or_named_twice_is_an_error_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make(Input((2,), name="a"), Input((2,), name="b"))


def test_a_layer_instead_of_a_node_is_an_error():
    with pytest.raises(TypeError, match="expected nodes as outputs, got Linear; call it on an Input first"):
        Graph(Input((2,)), Linear(2, 3))


def test_inputs_that_do_not_fit_are_errors():
    graph = residual()
    with pytest.raises(ValueError, match=r"Graph\(\): expected input 'x' of shape \(batch, 4\), got \(3, 5\)"):
        graph(mx.zeros((3, 5)))
    with pytest.raises(ValueError, match="expected 1 inputs, got 2"):
        graph(mx.zeros((3, 4)), mx.zeros((3, 4)))
    with pytest.raises(KeyError, match="no node 'hiden'; known: hidden"):
        graph["hiden"]


def test_a_shape_with_a_batch_of_its_own_is_refused():
    with pytest.raises(ValueError, match="expected the shape of one sample"):
        Input((None, 2))


def test_a_saved_graph_comes_back_with_its_wiring_and_names(tmp_path):
    graph = residual()
    graph.save(tmp_path / "model.safetensors")
    loaded = mf.load(tmp_path / "model.safetensors")
    data = array(3, 4)
    assert mx.array_equal(graph(data), loaded(data))
    assert list(loaded.names) == list(graph.names)
    assert mx.array_equal(graph.backward(mx.ones((3, 3))), loaded.backward(mx.ones((3, 3))))


def test_looking_at_a_graph_leaves_values_and_gradients_in_its_nodes():
    graph = residual()
    graph(array(2, 4))
    graph.backward(mx.ones((2, 3)))
    before = [(node.value, node.grad) for node in graph.nodes]
    mf.jacobian(graph, array(1, 4))
    mf.per_sample_gradients(graph, mf.MSELoss(), array(5, 4), array(5, 3))
    assert all(node.value is v and node.grad is g for node, (v, g) in zip(graph.nodes, before))


def test_a_graph_with_two_inputs_is_fitted_and_predicts():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    graph = Graph([a, b], Linear(3, 1)(Tanh()(Linear(2, 3)(a) + b)))
    x = array(20, 2), array(20, 3, seed=1)
    target = x[0][:, :1] + x[1][:, :1]
    history = graph.fit(x, target, loss="mse", optimizer=mf.SGD(graph, lr=0.1), epochs=10, batch_size=7, verbose=0,
                        seed=0, compile=False)  # fmt: skip
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    close(graph.predict(x, batch_size=7), graph(*x), 1e-6)


def test_changed_and_split_graphs_are_saved_as_they_are(tmp_path):
    graph = residual().insert("hidden", ReLU(), name="extra")
    data = array(3, 4)
    for model, given in ((graph, data), (graph.split("linear_2")[0], data)):
        model.save(tmp_path / "model.safetensors")
        loaded = mf.load(tmp_path / "model.safetensors")
        assert mx.array_equal(model(given), loaded(given)) and list(model.names) == list(loaded.names)
    loaded = loaded.insert("hidden", mf.Tap(lambda x: x * 0))
    assert mx.array_equal(loaded(data), data)
    loaded.remove("tap")
    assert not mx.array_equal(loaded(data), data)


def test_a_subclass_with_a_forward_of_its_own_cannot_keep_the_backward_of_the_graph():
    with pytest.raises(TypeError, match="Mine: Graph's backward is not that of another forward; keep the graph in a"):

        class Mine(mf.Graph):
            def forward(self, x):
                return super().forward(x) * 2
