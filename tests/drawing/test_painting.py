"""Files of every kind are well-formed."""

import xml.etree.ElementTree as ET

import pytest

import miniframe as mf
from miniframe import Graph, Input, Linear, ReLU, Tanh, Variable


def residual(depth=1):
    x = h = Input((4,), name="x")
    for _ in range(depth):
        h = h + Tanh()(Linear(4, 4)(h))
    return Graph(x, h)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


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


def test_a_graph_of_a_thousand_layers_is_drawn(tmp_path):
    x = node = Input((2,))
    for _ in range(1000):
        node = ReLU()(node)
    assert Graph(x, node).draw(tmp_path / "long.svg").count("-->") == 1000
