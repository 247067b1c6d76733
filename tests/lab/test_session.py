"""A session trains with fit itself, does what it is asked, and survives what goes wrong."""

import contextlib
import io
import time

import mlx.core as mx
import numpy as np
import pytest
from watcher import Watcher

import miniframe as mf
from miniframe.lab.opening import own_session
from miniframe.lab.recipe import Recipe
from miniframe.lab.session import Session

SMALL = Recipe(points=60, widths=(4, 4), batch_size=20)


def run(script, **names):
    """What a script leaves, and what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(script, "script.py", "exec"), names)
    return names, printed.getvalue()


def test_its_numbers_are_those_of_the_script_it_writes():
    with Watcher(Session(SMALL)) as lab:
        lab.train(3)
        assert lab.set(lr=0.05) == ""
        lab.train(2)
        assert lab.set(activation="tanh", batch_size=15) == ""
        lab.train(2)
        assert lab.set(optimizer="sgd", lr=0.1, mistakes=[["2", "Transposed"]]) == ""
        frame, _ = lab.train(2)
        curve, script = dict(lab.session.curve), lab.session.script(lab.session.epoch)
        weights = [np.array(p.value) for p in lab.session.model.parameters()]
    names, _ = run(script)
    history = names["history"].history
    assert frame["epoch"] == 9 and set(history) == set(curve)
    for name, values in history.items():
        assert values == curve[name][-len(values) :], name
    for ours, theirs in zip(weights, names["model"].parameters()):
        assert (ours == np.array(theirs.value)).all()


@pytest.mark.parametrize("settings", [{"dropout": 0.3}, {"norm": "batch"}, {"norm": "layer", "activation": "gelu"}])
def test_its_numbers_are_those_of_the_script_with_layers_of_all_kinds(settings):
    with Watcher(Session(SMALL.changed(settings))) as lab:
        lab.train(2)
        lab.ask("batch")
        lab.paused(epoch=2, batch=1)
        lab.ask("epoch")
        lab.paused(epoch=3)
        curve, script = dict(lab.session.curve), lab.session.script(lab.session.epoch)
    names, _ = run(script)
    assert names["history"].history == curve


def test_playing_pausing_and_stepping_by_batches_go_through_the_same_training():
    with Watcher(Session(SMALL)) as one, Watcher(Session(SMALL)) as other:
        one.train(4)
        for batch in (1, 2):
            other.ask("batch")
            frame, _ = other.paused(epoch=0, batch=batch)
            assert frame["batch_loss"] > 0
        other.ask("batch")
        other.paused(epoch=1, batch=0)
        other.ask("play")
        other.until(lambda h: h["kind"] == "frame" and h["epoch"] >= 2)
        other.ask("pause")
        frame, _ = other.paused()
        together = min(4, frame["epoch"])
        assert one.session.curve["loss"][:together] == other.session.curve["loss"][:together]


def test_frames_carry_the_curve_once_and_whole():
    with Watcher(Session(SMALL)) as lab:
        known = []
        lab.ask("play")
        while len(known) < 30:
            frame, _ = lab.wait("frame")
            assert frame["from"] == len(known)
            known += frame["curve"].get("loss", [])
        lab.ask("pause")
        frame, _ = lab.until(lambda h: h["kind"] == "frame" and not h["playing"])
        known += frame["curve"].get("loss", [])
        while len(known) < len(lab.session.curve["loss"]):
            known += lab.wait("frame")[0]["curve"]["loss"]
        assert known == lab.session.curve["loss"]


def test_pictures_take_a_while_and_the_page_hears_of_it():
    with Watcher(Session(SMALL)) as lab:
        lab.ask("set", settings={"data": "shapes", "points": 10, "widths": [2]})
        assert lab.wait("message")[0]["words"] == "making 10 pictures …"
        assert lab.wait("message")[0]["words"] == ""
        assert lab.wait("scene")[0]["rows"] == 10


def test_another_point_in_focus_does_not_send_the_whole_curve_again():
    """After an hour of training it is megabytes; a new page and a new training get it from its beginning."""
    with Watcher(Session(SMALL)) as lab:
        lab.train(3)
        lab.ask("focus", index=7)
        frame, _ = lab.until(lambda h: h["kind"] == "frame")
        assert (frame["from"], frame["curve"]["loss"]) == (3, [])
        lab.ask("gone")
        lab.ask("join")
        assert lab.wait("frame")[0]["from"] == 0
        lab.ask("again")
        assert lab.wait("frame")[0]["from"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": "fast"}, "the learning rate has to be a number, got 'fast'"),
        ({"lr": 0}, "the learning rate has to be above 0: with 0 nothing is learned"),
        ({"lr": "nan"}, "the learning rate has to be a number from 0 to 1e+06, got 'nan'"),
        ({"batch_size": "2.5"}, "the batch size has to be a whole number, got '2.5'"),
        ({"widths": "8, many"}, "the hidden layers have to be whole numbers, such as 8, 8; got '8, many'"),
        ({"widths": [0]}, "expected at most 12 hidden layers of 1 to 512 units, got [0]"),
        ({"data": "cats"}, "the data has to be one of disk, moons"),
        ({"colour": "red"}, "there is no setting 'colour'"),
        ({"mistakes": [["2", "Nobody"]]}, "the museum has no 'Nobody'; it has Transposed"),
        ({"mistakes": [["1", "Transposed"]]}, "Transposed stands in for a Linear with as many inputs as outputs"),
        ({"data": "csv"}, "choose a CSV file: a link does not carry the table itself"),
        ({"data": "points"}, "set the first point: choose its class below the plane"),
        ({"placed": [[0, 1]]}, "a point has two coordinates and a class, got [0, 1]"),
    ],
)
def test_a_bad_setting_is_a_sentence_and_nothing_is_lost(settings, words):
    with Watcher(Session(SMALL)) as lab:
        lab.train(1)
        before, curve = lab.session.model, dict(lab.session.curve)
        assert words in lab.set(**settings)
        assert lab.session.model is before and lab.session.curve == curve and lab.session.recipe == SMALL
        lab.train(1)


def test_requests_that_nobody_knows_are_sentences():
    with Watcher(Session(SMALL)) as lab:
        for command, words in [
            ({"do": "dance"}, "nobody knows how to 'dance'"),
            ({"do": "focus", "index": 60}, "there is no sample 60; there are 60"),
            ({"do": "focus", "index": "x"}, "there is no sample 'x'"),
            ({"do": "layer", "layer": "9"}, "trace: no layer '9'"),
            ({"do": "products", "layer": "0", "of": "weight", "index": [9, 9]}, "is no place in it"),
            ({"do": "products", "layer": "0", "of": "colour", "index": [0]}, "has no gradient of its colour"),
            ({"do": "weight", "name": "0.scale", "index": [0]}, "there is no parameter '0.scale'; there are 0.weight"),
            ({"do": "set_weight", "name": "0.weight", "index": [0, 0], "value": "x"}, "a weight has to be a number"),
            ({"do": "write"}, "only a model of text writes"),
            ({"do": "picture", "index": 0, "layer": "0"}, "only models of images have feature maps"),
            ({"do": "link", "text": "{"}, "the link does not hold the settings of a lab"),
            ({"do": "table", "name": "a.csv", "text": "one\n1\n"}, "a.csv cannot be read: expected at least 2 columns"),
            ({"do": "focus"}, "index"),
        ]:
            lab.ask(**command)
            header, _ = lab.until(lambda h: h["kind"] == "message" and h["words"])
            assert words in header["words"] and header["trouble"], command
        lab.train(1)


def test_a_table_without_labels_or_with_strange_ones_is_explained():
    with Watcher(Session(SMALL)) as lab:
        lab.train(1)
        for text, words in [
            ("a,b\n1,0.5\n2,0.7\n", "t.csv has no classes: the last column holds numbers such as 0.5"),
            ("a,b,label\n1,2,x\n3,4,x\n", "t.csv has 1 different labels in its last column"),
            ("a,b,label\n1,two,x\n3,4,y\n", "in line 2 of t.csv (only the label may be a word)"),
            ("a,b,label\n1,nan,0\n3,4,1\n", "t.csv cannot be read: it holds numbers that are NaN or infinite"),
            ("", "t.csv is empty"),
        ]:
            lab.ask("table", name="t.csv", text=text)
            header, _ = lab.until(lambda h: h["kind"] == "message" and h["trouble"])
            assert words in header["words"]
        assert lab.session.epoch == 1


def test_a_table_of_ones_own_trains_and_its_script_reads_the_file(tmp_path, monkeypatch):
    x, labels = mf.datasets.moons(80)
    lines = [f"{a},{b},{'up' if k else 'down'}" for (a, b), k in zip(x.tolist(), labels.tolist())]
    text = "x1,x2,label\n" + "\n".join(lines) + "\n"
    (tmp_path / "moons.csv").write_text(text)
    monkeypatch.chdir(tmp_path)
    with Watcher(Session(SMALL)) as lab:
        lab.ask("table", name="moons.csv", text=text)
        scene, _ = lab.wait("scene")
        assert scene["classes"] == ["down", "up"] and scene["rows"] == 60
        lab.train(2)
        curve, script = dict(lab.session.curve), lab.session.script(lab.session.epoch)
    assert run(script)[0]["history"].history == curve


def test_points_set_by_hand_are_learned():
    placed = [[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]]
    with Watcher(Session(SMALL)) as lab:
        assert lab.set(data="points", placed=placed) == ""
        frame, _ = lab.train(2)
        assert frame["logs"].keys() == {"loss", "error_rate"}
        script = lab.session.script(lab.session.epoch)
        curve = dict(lab.session.curve)
    assert run(script)[0]["history"].history == curve


def test_points_of_one_class_are_drawn_and_wait_for_a_second():
    with Watcher(Session(SMALL)) as lab:
        assert lab.set(data="points", placed=[[0, 0, 0]]) == ""
        lab.ask("play")
        header, _ = lab.until(lambda h: h["kind"] == "message" and h["trouble"])
        assert "of each of two classes" in header["words"]


def test_a_training_that_breaks_is_a_sentence_and_can_go_on():
    climbing = {"optimizer": "sgd", "lr": 1000, "mistakes": [["loss", "WrongSign"]]}
    with Watcher(Session(SMALL.changed(climbing))) as lab:
        lab.ask("play")
        header, _ = lab.until(lambda h: h["kind"] == "message" and h["trouble"])
        assert "the training stopped: " in header["words"]
        assert lab.set(lr=0.01, mistakes=[]) == ""
        lab.ask("again")
        lab.paused(epoch=0)
        lab.train(1)


def test_an_exhibit_is_plugged_in_caught_and_taken_out():
    with Watcher(Session(SMALL)) as lab:
        assert lab.set(mistakes=[["2", "Transposed"]]) == ""
        lab.train(1)
        lab.ask("prove")
        proof, _ = lab.wait("proof")
        assert not proof["passed"] and "transpose" in proof["words"]
        frame, _ = lab.wait("frame")
        assert frame["proof"] == {"passed": False, "error": proof["error"]}
        assert lab.set(mistakes=[]) == ""
        assert type(lab.session.model[2]) is mf.Linear
        lab.ask("prove")
        proof, _ = lab.wait("proof")
        assert proof["passed"]


def test_two_pages_see_the_same_and_one_that_leaves_takes_nothing_along():
    with Watcher(Session(SMALL)) as lab:
        lab.train(2)
        second = Watcher(lab.session)
        second.ask("join")
        scene, _ = second.wait("scene")
        frame, _ = second.wait("frame")
        assert frame["epoch"] == 2 and frame["curve"]["loss"] == lab.session.curve["loss"] and frame["from"] == 0
        second.ask("gone")
        lab.train(1)
        assert lab.session.pages == [lab.page]


def test_a_page_that_does_not_paint_gets_no_more_frames_and_does_not_hold_up_the_training():
    with Watcher(Session(SMALL)) as lab:
        deaf = []
        from miniframe.lab.session import Page

        page = Page(deaf.append)
        lab.session.commands.put((page, {"do": "join"}))
        lab.ask("play")
        lab.until(lambda h: h["kind"] == "frame" and h["epoch"] > 200)
        lab.ask("pause")
        lab.paused()
        assert len(deaf) < 12


def test_a_model_of_ones_own_learns_and_goes_back_to_where_it_was_opened():
    x, y = mf.datasets.disk(60)
    model = mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 2))
    before = [np.array(p.value) for p in model.parameters()]
    with Watcher(own_session(model, x, y, "cross_entropy", mf.SGD(model, lr=0.3, momentum=0.9))) as lab:
        scene, _ = lab.scene
        assert scene["own"] and lab.first[0]["lr"] == 0.3
        lab.train(2)
        assert "a model of your own" in lab.set(widths=[3])
        assert lab.set(lr=0.1) == ""
        lab.train(1)
        after = [np.array(p.value) for p in model.parameters()]
        assert any((a != b).any() for a, b in zip(before, after))
        lab.ask("again")
        lab.paused(epoch=0)
    assert all((np.array(p.value) == a).all() for p, a in zip(model.parameters(), before))


def test_a_model_of_ones_own_is_checked_before_anything_opens():
    model = mf.Linear(3, 2)
    with pytest.raises(ValueError, match="lab: .*expected input"):
        own_session(model, mx.zeros((4, 2)), mx.zeros((4,), mx.int32), "cross_entropy", "sgd")
    with pytest.raises(TypeError, match="lab: expected a miniframe model, got str"):
        own_session("model", mx.zeros((4, 2)), mx.zeros((4,)), "mse", "sgd")


def test_a_model_that_cannot_be_copied_is_refused_with_a_reason():
    model = mf.Sequential(mf.Linear(2, 2))
    model.file = open(__file__)
    with model.file, pytest.raises(TypeError, match="lab: trains a copy of the model, and this one cannot be copied:"):
        own_session(model, mx.zeros((4, 2)), mx.zeros((4,), mx.int32), "cross_entropy", "sgd")


def test_a_regression_has_strips_and_curves_but_no_regions():
    x = mx.random.normal((40, 2))
    model = mf.Linear(2, 1)
    with Watcher(own_session(model, x, x.sum(axis=1, keepdims=True), "mse", "sgd")) as lab:
        frame, arrays = lab.train(2)
        assert frame["logs"].keys() == {"loss"} and "regions" not in arrays and "0.value" in arrays


def test_the_recorders_words_appear_beside_the_layer():
    recipe = SMALL.changed({"activation": "sigmoid", "optimizer": "sgd", "lr": 50, "points": 200})
    with Watcher(Session(recipe)) as lab:
        lab.ask("play")
        frame, _ = lab.until(lambda h: h["kind"] == "frame" and h["finding"], seconds=60)
        assert frame["finding"]["words"] and frame["finding"]["layer"].split(".")[0] in [
            x["name"] for x in frame["layers"]
        ]


def test_closing_ends_a_training_that_is_playing():
    lab = Watcher(Session(SMALL))
    with lab:
        lab.ask("play")
        lab.until(lambda h: h["kind"] == "frame" and h["epoch"] > 3)
    started = time.monotonic()
    assert not lab.thread.is_alive() and time.monotonic() - started < 5
