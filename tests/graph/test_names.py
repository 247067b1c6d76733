"""Names for calls: what the user gave, the path of the layer, or the class."""

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe import Input, Linear, Sequential, Tanh
from miniframe.core.walk import ancestors
from miniframe.graph.names import name_nodes, top_layers


def calls(*outputs):
    return [node for node in ancestors(outputs) if node.module is not None]


def test_top_layers_are_the_outermost_models_in_the_order_of_their_calls():
    x = Input((3,))
    encoder, head = Sequential(Linear(3, 3), Tanh()), Linear(3, 2).named("head")
    found = top_layers(calls(head(Tanh()(encoder(Linear(3, 3)(x))))))
    assert list(found) == ["linear", "sequential", "tanh", "head"]
    assert found["sequential"] is encoder and found["head"] is head


def test_classes_that_repeat_are_numbered_around_the_names_that_were_given():
    x = Input((3,))
    found = top_layers(calls(Tanh()(Tanh()(Tanh().named("tanh")(Tanh()(x))))))
    assert list(found) == ["tanh_2", "tanh", "tanh_3", "tanh_4"]


def test_a_name_given_to_two_layers_is_refused():
    x = Input((3,))
    with pytest.raises(ValueError, match=r"^Here: two layers are named 'a': Tanh\(\) and Linear\(3 -> 3\)$"):
        top_layers(calls(Linear(3, 3).named("a")(Tanh().named("a")(x))), where="Here")


def test_nodes_without_a_path_are_named_by_what_made_them():
    x, y = mf.Variable(mx.ones(2)), mf.Variable(mx.ones(2), name="y")
    z = (x + y) * x + 2.0
    assert list(name_nodes(ancestors([z]), {})) == ["variable", "y", "add", "multiply", "constant", "add_2"]


def test_a_name_given_to_two_nodes_is_refused():
    x = mf.Variable(mx.ones(2), name="a")
    with pytest.raises(ValueError, match="^Here: two nodes are named 'a': .* and "):
        name_nodes(ancestors([(x * 2).named("a")]), {}, where="Here")
