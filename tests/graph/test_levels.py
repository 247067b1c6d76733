"""Levels: calls that wait for none of each other stand side by side, and nothing stands beside what it waits for."""

import numpy as np
import pytest

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Sequential, Tanh, Variable
from miniframe.graph.levels import levels_of


def branches():
    x = Input((4,), name="x")
    left, right = ReLU()(Linear(4, 4)(x)), Tanh()(Linear(4, 4)(x))
    return Graph(x, (left * right + Linear(4, 4)(x)).named("end"))


def test_branches_stand_side_by_side():
    assert branches().levels() == [["linear", "linear_2", "linear_3"], ["relu", "tanh"], ["multiply"], ["end"]]


def test_a_chain_has_one_call_on_each_level():
    x = Input((2,), name="x")
    levels = Graph(x, Sequential(Linear(2, 3), ReLU(), Linear(3, 1))(x)).levels()
    assert [len(level) for level in levels] == [1, 1, 1]


def test_every_call_stands_once_directly_behind_the_last_that_it_waits_for():
    rng = np.random.default_rng(0)
    x = Input((3,), name="x")
    nodes = [x]
    for _ in range(40):
        first, second = (nodes[int(i)] for i in rng.integers(0, len(nodes), 2))
        nodes.append(Tanh()(first) + second)
    graph = Graph(x, sum(nodes[1:], nodes[0]))
    levels = graph.levels()
    where = {name: number for number, level in enumerate(levels, 1) for name in level}
    calls = [name for name, node in graph.names.items() if node.module is not None]
    assert sorted(where) == sorted(calls) and len(calls) == sum(map(len, levels))
    names = {node.index: name for name, node in graph.names.items()}
    for name in calls:
        assert where[name] == 1 + max(where.get(names[source.index], 0) for source in graph[name].inputs)


def test_what_is_given_has_level_0_and_a_part_of_a_graph_begins_anew():
    x = Variable(2.0, "x")
    h = x * 3.0
    assert levels_of([x, h, h + x]) == [0, 1, 2]
    assert levels_of([h, h + 1.0], inputs=[h]) == [0, 1]
    y = Tanh()(h)
    assert Graph(h, y).levels() == [["tanh"]]


def test_a_layer_called_twice_waits_only_where_its_calls_do():
    a, b, layer = Input((2,), name="a"), Input((2,), name="b"), Linear(2, 2)
    assert len(Graph([a, b], layer(a) + layer(b)).levels()[0]) == 2
    assert [len(level) for level in Graph(a, layer(layer(a))).levels()] == [1, 1]


def test_levels_are_those_of_the_graph_after_surgery():
    graph = branches()
    graph.insert("relu", Linear(4, 4), name="new")
    assert len(graph.levels()) == 5 and ["new"] in [[n for n in level if n == "new"] for level in graph.levels()]


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_drawing_marks_them(depth, ending, tmp_path):
    h = x = Input((4,), name="x")
    for _ in range(depth):
        h = h + Tanh()(Linear(4, 4)(h))
    graph = Graph(x, h)
    path = tmp_path / f"levels.{ending}"
    text = graph.draw(path, levels=True)
    assert text.count("subgraph") == text.count("    end") == len(graph.levels()) == 3 * depth
    assert '    subgraph level1["level 1"]\n        n1\n    end' in text
    assert "subgraph" not in graph.draw() and path.stat().st_size > 1000
    if ending == "svg":
        assert [f">level {k}<" in path.read_text() for k in range(1, 3 * depth + 2)] == [True] * 3 * depth + [False]


def test_expressions_and_sequentials_can_be_drawn_in_levels_too():
    f = (Variable(1.0, "x") + Variable(2.0, "y")) * 3
    assert "level 2" in mf.draw(f, levels=True) and "level 3" not in mf.draw(f, levels=True)
    assert "level 2" in mf.draw(Sequential(Linear(2, 2), ReLU()), levels=True)
