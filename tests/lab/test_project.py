"""One recipe becomes another as a whole or not at all, and a model of one's own stays its owner's."""

import json
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


def own(optimizer, **options):
    """A session of a model of one's own; ``optimizer(model)`` makes the optimizer."""
    x, y = mf.datasets.disk(60)
    model = mf.Sequential(mf.Linear(2, 4, bias=False), mf.ReLU(), mf.Linear(4, 4), mf.Linear(4, 2))
    return own_session(model, x, y, "cross_entropy", optimizer(model), **options)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 5, "mistakes": [["0", "Transposed"]]}, "Transposed stands in for a Linear with as many inputs"),
        ({"mistakes": [["9", "Leaking"]]}, "there is no layer '9' for Leaking to stand in for"),
        ({"mistakes": [["2", "Transposed"], ["0", "Transposed"]]}, "Transposed stands in for a Linear with as many"),
        ({"mistakes": "wrong"}, "the mistakes have to be a list, got 'wrong'"),
        ({"mistakes": ["w"]}, "a mistake has the name of a layer and of an exhibit, got 'w'"),
        ({"widths": None}, "the hidden layers have to be whole numbers"),
        ({"placed": 3}, "the points have to be a list, got 3"),
    ],
)
def test_a_damaged_link_leaves_everything_as_it_was(settings, words):
    usual = {"points": 60, "widths": [4, 4], "batch_size": 20}
    with Watcher(Session(SMALL)) as lab, Watcher(Session(SMALL)) as other:
        lab.train(1)
        before = lab.session.model, lab.session.view, lab.session.recipe
        lab.ask("link", text=json.dumps({**usual, **settings}))
        header, _ = lab.until(lambda h: h["kind"] == "message" and h["trouble"])
        assert words in header["words"]
        assert (lab.session.model, lab.session.view, lab.session.recipe) == before
        lab.train(1)
        other.train(2)
        assert lab.session.curve == other.session.curve


def test_a_model_of_text_begins_anew_with_another_dropout():
    with Watcher(Session(Recipe(data="text", points=20, widths=(4,)))) as lab:
        lab.train(1)
        assert lab.set(dropout=0.1) == "" and lab.set(activation="tanh") == ""
        assert lab.session.epoch == 0
        lab.train(1)


def test_a_schedule_and_the_rates_of_groups_stay_until_the_page_sets_another():
    with Watcher(own(lambda model: mf.SGD(model, lr=lambda step: 0.1 / (1 + step), momentum=0.5))) as lab:
        assert lab.scene[0]["momentum"] and lab.scene[0]["recipe"]["momentum"] == 0.5
        rates = [lab.train(1)[0]["lr"] for _ in range(2)]
        assert rates == pytest.approx([0.1 / 3, 0.1 / 5])  # two batches an epoch
        lab.ask("again")
        lab.paused(epoch=0)
        assert lab.session.optimizer.lr == 0.1
        assert lab.set(lr=0.3) == "" and lab.set(momentum=0.25) == ""
        assert (lab.session.optimizer.lr, lab.session.optimizer.momentum) == (0.3, 0.25)
        assert "optimizer.lr = 0.3\noptimizer.momentum = 0.25\n" in lab.session.script(1)
    with Watcher(own(mf.Adam)) as lab:
        assert not lab.scene[0]["momentum"]
        assert "optimizer.lr" not in lab.session.script(1)


def test_a_momentum_that_is_set_on_the_page_goes_into_ones_own_optimizer():
    mine = []
    with Watcher(own(lambda model: mine.append(mf.SGD(model, lr=0.1)) or mine[0])) as lab:
        assert lab.set(momentum=0.5) == ""
        lab.train(2)
    assert mine[0].momentum == 0.5
    velocities, theirs = ([s[0].value for s in o.state] for o in (mine[0], lab.session.optimizer))
    for velocity, other in zip(velocities, theirs, strict=True):
        assert mx.abs(velocity).max() > 0 and mx.array_equal(velocity, other)


def test_the_seed_of_a_model_of_ones_own_can_be_set_and_begins_it_anew():
    with Watcher(own(mf.Adam)) as lab:
        first = [np.array(p.value) for p in lab.session.model.parameters()]
        lab.train(1)
        assert lab.set(seed=3) == ""
        assert lab.session.epoch == 0 and lab.session.recipe.seed == 3
        assert all((a == np.array(p.value)).all() for a, p in zip(first, lab.session.model.parameters()))
        assert "a model of your own" in lab.set(points=10)
        lab.train(1)


def test_mistakes_never_come_into_the_users_own_model():
    with Watcher(own(mf.Adam)) as lab:
        assert lab.set(mistakes=[["1", "Leaking"], ["loss", "WrongSign"]]) == ""
        (model, *_, loss, _), copy = lab.session.own, lab.session
        assert type(copy.model[1]).__name__ == "Leaking" and type(copy.loss).__name__ == "WrongSign"
        assert type(model[1]) is mf.ReLU and type(loss) is mf.CrossEntropyLoss
        assert "model[1].__class__ = mf.lab.mistakes.Leaking" in lab.session.script(1)
        lab.train(1)


def test_a_model_of_ones_own_can_be_used_while_the_lab_trains_it():
    """As in a notebook, where the lab is opened in one cell and the model called in the next."""
    x, y = mf.datasets.disk(60)
    model = mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Dropout(0.2), mf.Linear(4, 2))
    optimizer = mf.Adam(model)
    with Watcher(own_session(model, x, y, "cross_entropy", optimizer)) as lab:
        lab.ask("play")
        seen, end = set(), time.monotonic() + 60
        while len(seen) < 5 or lab.session.epoch < 100:
            model.backward(mx.ones(model(x).shape))
            everything = [p.grad for p in model.parameters()] + [cell.value for cell in optimizer.cells()]
            assert all(np.isfinite(np.array(array)).all() for array in everything)
            seen.add(np.array(model[0].weight.value).tobytes())
            assert time.monotonic() < end
        lab.ask("pause")
        lab.paused()
        assert (np.array(model[3].weight.value) == np.array(lab.session.model[3].weight.value)).all()
        assert optimizer.iterations == lab.session.optimizer.iterations > 100


def test_a_mistake_that_crashes_is_a_sentence_and_can_be_taken_out():
    """AlwaysBias in a layer without a bias: neither the training nor the pictures can run the model."""
    with Watcher(own(mf.Adam)) as lab:
        assert "the model cannot be shown: 'NoneType' object" in lab.set(mistakes=[["0", "AlwaysBias"]])
        lab.ask("play")
        header, _ = lab.until(lambda h: h["kind"] == "message" and h["trouble"])
        assert header["words"].startswith("the training stopped: 'NoneType' object")
        assert lab.set(mistakes=[]) == ""
        frame, arrays = lab.train(1)
        assert len(frame["layers"]) == 4 and "0.value" in arrays


def test_a_mistake_deep_inside_a_model_has_a_line_of_python(tmp_path):
    with Watcher(Session(Recipe(data="text", points=20, widths=(4,)))) as lab:
        assert lab.set(mistakes=[["blocks.0.norm1", "CarelessRows"]]) == ""
        lab.train(1)
        script, curve = lab.session.script(1), dict(lab.session.curve)
    names = {}
    exec(script, names)
    assert names["history"].history == curve


@pytest.mark.parametrize(
    "changes",
    [
        [{"lr": 0.5}],
        [{"optimizer": "sgd"}, {"optimizer": "adam"}],
        [{"activation": "tanh"}, {"lr": 0.02}, {"activation": "relu"}],
    ],
)
def test_the_script_does_the_same_whether_or_not_the_last_setting_was_trained(changes):
    """An optimizer that was changed and changed back has begun anew."""
    for more in (0, 1):
        with Watcher(Session(SMALL)) as lab:
            lab.train(2)
            for settings in changes:
                assert lab.set(**settings) == ""
            if more:
                lab.train(more)
            curve, script = dict(lab.session.curve), lab.session.script(lab.session.epoch)
            weights = [np.array(p.value) for p in lab.session.model.parameters()]
        names = {}
        exec(script, names)
        assert {name: values[-1] for name, values in names["history"].history.items()} == {
            name: values[-1] for name, values in curve.items()
        }
        assert all((a == np.array(p.value)).all() for a, p in zip(weights, names["model"].parameters()))


def test_counts_are_no_classes():
    """Whole numbers as targets of a regression: it trains and is shown, without regions and errors."""

    class Counts(mf.Module):
        def __init__(self):
            self.inner = mf.Linear(2, 1)

        def forward(self, x):
            return self.inner(x).reshape(-1)

    x = mx.random.normal((40, 2))
    with Watcher(own_session(Counts(), x, mx.arange(40) * 1_000_000, "mse", "adam")) as lab:
        scene, arrays = lab.scene
        assert scene["classes"] == [] and scene["plane"] is None and not arrays
        frame, _ = lab.train(1)
        assert frame["logs"].keys() == {"loss"}
