"""What a notebook shows of an object: tables and drawings, with the numbers that are printed, and no foreign HTML."""

import re
from xml.etree import ElementTree

import mlx.core as mx
import numpy as np

import miniframe as mf

X = mx.array(np.linspace(-1, 1, 8).reshape(4, 2).astype(np.float32))


def model():
    return mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Sequential(mf.Linear(3, 1)))


def words(html):
    """The cells and lines of a piece of HTML, which has to be well-formed."""
    tree = ElementTree.fromstring(f"<all>{html}</all>")
    return [text for element in tree.iter() for text in [element.text] if text and text.strip()]


def test_a_model_is_a_table_of_its_layers_with_shapes_and_parameters():
    found = words(model()._repr_html_())
    assert found[0] == "Sequential" and found[-1] == "13 parameters"
    assert ["0", "Linear(2 -> 3)", "weight (3, 2), bias (3,)", "9"] == found[5:9]
    assert "2.0" in found and "2" not in found
    frozen = model()
    frozen[0].freeze()
    assert words(frozen._repr_html_())[-1] == "13 parameters, 9 of them frozen"


def test_a_layer_and_a_loss_show_themselves():
    assert mf.PReLU().title() in words(mf.PReLU()._repr_html_())
    assert "MSELoss()" in words(mf.MSELoss()._repr_html_())


def test_a_summary_a_trace_and_a_report_show_what_they_print():
    for shown in (
        model().summary((2,)),
        mf.trace(model(), X, "mse", mx.zeros((4, 1))),
        mf.check_gradients(model(), X),
    ):
        printed, html = repr(shown), words(shown._repr_html_())
        for number in re.findall(r"\d\.\d+(?:e-\d+)?", " ".join(html)):
            assert number in printed
        assert {"Linear(2 -> 3)", "0.weight"} & set(html)


def test_a_failed_report_says_why():
    class Bad(mf.Tanh):
        def backward(self, grad_output):
            return grad_output

    report = mf.check_gradients(Bad(), X)
    html = " ".join(words(report._repr_html_()))
    assert "FAILED" in html and "✗" in html and report.rows[0].diagnosis in html


def test_a_graph_and_a_node_are_drawings():
    start = mf.Input(name="x")
    graph = mf.Graph(start, mf.Linear(2, 1)(start) + 1)
    for shown, title in ((graph, "x"), (mf.Variable(2.0, name="<w>") * 3, "<w>")):
        drawing = ElementTree.fromstring(shown._repr_html_())
        assert drawing.tag.endswith("svg") and title in [element.text for element in drawing.iter()]


def test_what_would_be_too_large_a_drawing_stays_text():
    node = mf.Variable(1.0)
    for _ in range(60):
        node = node * 2
    assert words(node._repr_html_()) == [repr(node)]
    graph = mf.Graph(start := mf.Input(), mf.Sequential(*[mf.ReLU() for _ in range(60)])(start))
    assert words(graph._repr_html_()) == [repr(graph)]


def test_a_history_is_its_curves_or_without_matplotlib_its_last_numbers(monkeypatch):
    history = model().fit(X, mx.zeros((4, 1)), loss="mse", optimizer="sgd", epochs=12, verbose=0)
    assert ElementTree.fromstring(history._repr_html_()).tag.endswith("svg")
    assert mf.History()._repr_html_().startswith("<div><strong>History(0 epochs)")

    def missing(*given, **more):
        raise ImportError("plots need matplotlib")

    monkeypatch.setattr("miniframe.plots.training.curves", missing)
    found = words(history._repr_html_())
    assert found[-1] == f"{history.history['loss'][-1]:.4g}" and found.count("12") == 1 and "2" not in found


def test_names_stay_text():
    evil = type("<script>", (mf.ReLU,), {})()
    shown = mf.trace(mf.Sequential(evil), X)._repr_html_()
    assert "<script>" not in shown and "<script>()" in words(shown)
