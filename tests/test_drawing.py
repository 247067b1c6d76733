"""Pictures of graphs: what is in them, and that every kind of file is a well-formed one."""

import xml.etree.ElementTree as ET

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Sequential, Tanh, Variable
from miniframe.drawing.graphs import picture_of
from miniframe.drawing.layout import arrange


def example():
    x, y, z = Variable(-2.0, "x"), Variable(5.0, "y"), Variable(-4.0, "z")
    return ((x + y) * z).named("f")


def residual(depth=1):
    x = h = Input((4,), name="x")
    for _ in range(depth):
        h = h + Tanh()(Linear(4, 4)(h))
    return Graph(x, h)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


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


def test_five_pictures_tell_the_worked_example(tmp_path):
    pictures = mf.draw_steps(example(), str(tmp_path / "example_{}.svg"))
    values = [[box.value for box in picture.boxes] for picture in pictures]
    grads = [[box.grad for box in picture.boxes] for picture in pictures]
    assert values == [
        ["-2", "5", "-4", "", ""],
        ["-2", "5", "-4", "3", ""],
        *[["-2", "5", "-4", "3", "-12"]] * 3,
    ]
    assert grads == [[""] * 5] * 3 + [["", "", "3", "-4", "1"], ["-4", "-4", "3", "-4", "1"]]
    assert [[box.title for box in p.boxes if box.active] for p in pictures] == [
        [],
        ["+"],
        ["f: ×"],
        ["z", "+"],
        ["x", "y"],
    ]
    for number, picture in enumerate(pictures, 1):
        shown = texts((tmp_path / f"example_{number}.svg").read_text())
        assert [text for box in picture.boxes for _, text in box.lines()] == shown


def test_steps_show_the_gradient_that_has_arrived_so_far():
    x = Variable(3.0, "x")
    pictures = mf.draw_steps(x * x + x)
    assert [p.boxes[0].grad for p in pictures] == ["", "", "", "1", "7"]


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


def test_every_kind_of_file_is_written(tmp_path):
    graph = residual(3)
    text = graph.draw(tmp_path / "graph.svg")
    tree = ET.parse(tmp_path / "graph.svg")
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}rect"))) == 1 + len(graph)
    graph.draw(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    graph.draw(tmp_path / "graph.mmd")
    assert (tmp_path / "graph.mmd").read_text() == text + "\n"
    with pytest.raises(ValueError, match="expected a path ending in .svg, .png or .mmd, got '.*graph.gif'"):
        graph.draw(tmp_path / "graph.gif")


def test_names_with_special_characters_stay_well_formed(tmp_path):
    x = Variable(1.0, 'a < b & "c"')
    text = mf.draw(x + 1, tmp_path / "odd.svg")
    assert 'a < b & "c"' in texts((tmp_path / "odd.svg").read_text())
    assert "#quot;c#quot;" in text


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_boxes_do_not_overlap_and_arrows_point_forward(depth):
    for down in (False, True):
        picture = picture_of(residual(depth))
        layout = arrange([(80, 40)] * len(picture.boxes), picture.arrows, down)
        for i, a in enumerate(layout.boxes):
            assert 0 <= a.x - 40 and a.x + 40 <= layout.width + 1e-6
            assert -1e-6 <= a.y - 20 and a.y + 20 <= layout.height + 1e-6
            for b in layout.boxes[:i]:
                assert abs(a.x - b.x) >= 80 or abs(a.y - b.y) >= 40
        axis = 1 if down else 0
        assert all(p[axis] < q[axis] for way in layout.arrows for p, q in zip(way, way[1:]))


def test_an_arrow_that_passes_a_layer_keeps_clear_of_its_box():
    layout = arrange([(80, 40)] * 3, [(0, 1), (1, 2), (0, 2)])
    _, enters, leaves, _ = layout.arrows[2]
    box = layout.boxes[1]
    assert (enters[0], leaves[0]) == (box.x - 40, box.x + 40)
    assert enters[1] == leaves[1] and abs(enters[1] - box.y) > 20


def test_a_graph_of_a_thousand_layers_is_drawn(tmp_path):
    x = node = Input((2,))
    for _ in range(1000):
        node = ReLU()(node)
    assert Graph(x, node).draw(tmp_path / "long.svg").count("-->") == 1000


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(TypeError, match="draw: expected a Graph or nodes"):
        mf.draw([3])
    with pytest.raises(ValueError, match="draw_steps: expected a node that holds a single number"):
        mf.draw_steps(Variable(mx.ones(3)))
    with pytest.raises(ValueError, match="expected a path with {}"):
        mf.draw_steps(example(), "picture.svg")
