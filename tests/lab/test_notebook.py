"""The widget is the same page in a notebook."""

import time

import pytest

import miniframe as mf
from miniframe.lab import wire


@pytest.fixture
def widget():
    x, y = mf.datasets.disk(30)
    model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 2))
    made = mf.lab.widget(model, x, y, "cross_entropy", "adam", batch_size=10)
    yield made
    made.close()
    made.thread.join(timeout=60)
    assert not made.thread.is_alive()


def test_it_sends_the_scene_and_frames_and_does_what_is_asked(widget):
    sent = []
    widget.someone.send = lambda message: sent.append(wire.unpack(message)[0])
    for asked in ({"do": "join"}, {"do": "close"}, ["nonsense"], None, {"do": "epoch"}):
        widget._asked(widget, asked, [])
    end = time.monotonic() + 30
    while time.monotonic() < end and not any(h["kind"] == "frame" and h["epoch"] == 1 for h in sent):
        time.sleep(0.01)
    assert sent[0]["kind"] == "scene" and sent[0]["own"] and widget.session.epoch == 1


def test_its_script_is_one_module_that_imports_nothing(widget):
    code = widget._esm
    assert "export default { render: renderWidget };" in code and "\nimport " not in code
    assert code.count("export ") == 1


def test_what_it_cannot_show_is_said():
    with pytest.raises(TypeError, match="lab.widget: expected a model with its data, or nothing at all"):
        mf.lab.widget(x=[1])
    with pytest.raises(TypeError, match="lab: unknown colour; known: batch_size, seed, validation_data"):
        mf.lab.widget(mf.Linear(1, 1), [[1.0]], [[1.0]], "mse", "sgd", colour="red")
