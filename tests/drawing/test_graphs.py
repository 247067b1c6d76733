"""Pictures of graphs: what is in them, and that every kind of file is a well-formed one."""

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Sequential, Tanh, Variable


def example():
    x, y, z = Variable(-2.0, "x"), Variable(5.0, "y"), Variable(-4.0, "z")
    return ((x + y) * z).named("f")


def residual(depth=1):
    x = h = Input((4,), name="x")
    for _ in range(depth):
        h = h + Tanh()(Linear(4, 4)(h))
    return Graph(x, h)


def test_mermaid_text_of_the_worked_example():
    f = example()
    f.backward()
    assert mf.draw(f).splitlines() == [
        "flowchart LR",
        '    n0(["x<br/>value -2<br/>grad -4"])',
        '    n1(["y<br/>value 5<br/>grad -4"])',
        '    n2(["z<br/>value -4<br/>grad 3"])',
        '    n3["+<br/>value 3<br/>grad -4"]',
        '    n4["f: ×<br/>value -12<br/>grad 1"]',
        "    n0 --> n3",
        "    n1 --> n3",
        "    n3 --> n4",
        "    n2 --> n4",
    ]


def test_shapes_are_drawn_before_any_data_and_values_after_a_pass():
    x = Input((2,), name="x")
    graph = Graph(x, (Linear(2, 3)(x) * 2).sum())
    before = graph.draw()
    assert "x<br/>(batch, 2)" in before and "Linear(2 -> 3)<br/>(batch, 3)" in before and "value" not in before
    assert '(["2"])' in before
    graph(mx.ones((1, 2)))
    graph.backward(mx.array(1.0))
    after = graph.draw()
    assert "value [1, 1]" in after and "grad 1" in after
    assert "grad" not in graph.draw(values=False)


def test_large_graphs_and_arrays_are_drawn_without_numbers():
    graph = residual(20)
    graph(mx.ones((1, 4)))
    assert "value" not in graph.draw() and "value [1, 1, 1, 1]" in graph.draw(values=True)
    small = residual()
    small(mx.ones((5, 4)))
    assert "value" not in small.draw() and "(5, 4)" in small.draw()


def test_long_chains_run_down_and_short_ones_to_the_right():
    assert residual(1).draw().startswith("flowchart LR")
    assert residual(3).draw().startswith("flowchart TD")


def test_layers_inside_a_model_show_their_path():
    x = Input((2,))
    graph = Graph(x, Sequential(Linear(2, 3), ReLU()).named("encoder")(x))
    assert '"encoder.0: Linear(2 -> 3)<br/>(batch, 3)"' in graph.draw()


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(TypeError, match="draw: expected a Graph, a Sequential or nodes"):
        mf.draw([3])
    with pytest.raises(ValueError, match="draw_steps: expected a node that holds a single number"):
        mf.draw_steps(Variable(mx.ones(3)))
    with pytest.raises(ValueError, match="expected a path with {}"):
        mf.draw_steps(example(), "picture.svg")


def test_a_sequential_is_drawn_as_the_graph_of_its_layers():
    model = mf.Sequential(mf.Linear(2, 3), mf.Sequential(mf.ReLU(), mf.Linear(3, 1)))
    x = mf.Input(name="input")
    assert mf.draw(model) == mf.draw(mf.Graph(x, model(x)))
    assert [word in mf.draw(model) for word in ("input", "Linear(2 -> 3)", "ReLU", "Linear(3 -> 1)")] == [True] * 4


class Scaled(mf.Module):
    """Composes layers and has a parameter of its own."""

    def __init__(self):
        self.fc, self.scale = mf.Linear(2, 2), mf.Parameter(mx.ones(2))

    def forward(self, x):
        return (self.fc(x) * self.scale).relu()


class OfTwo(mf.Module):
    def forward(self, left, right):
        return left + right


def test_any_model_is_drawn_as_it_is_described():
    text = mf.draw(Scaled())
    assert "Linear(2 -> 2)" in text and "scale" in text and "×" in text and "ReLU" in text
    assert "left" in mf.draw(OfTwo()) and "right" in mf.draw(OfTwo())
    assert "Linear(2 -> 2)" in mf.draw(mf.Linear(2, 2))


def test_a_model_whose_way_depends_on_data_is_told_to_be_run():
    class Branches(mf.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x * 3

    with pytest.raises(TypeError, match=r"^draw: Branches\(\) cannot be described without data .*draw\(model\(mf\.Var"):
        mf.draw(Branches())
    assert "2" in mf.draw(Branches()(mf.Variable(mx.ones(3))))
