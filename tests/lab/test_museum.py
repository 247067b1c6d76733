"""Every exhibit does its damage, is caught by the proof, and goes away without a trace."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab import mistakes, museum
from miniframe.lab.pictures import View
from miniframe.lab.singles import proof


def project():
    mf.seed(1)
    front = mf.Linear(2, 4), mf.Tanh(), mf.BatchNorm(4), mf.Linear(4, 4), mf.Linear(4, 4, bias=False)
    model = mf.Sequential(*front, mf.LayerNorm(4), mf.ReLU(), mf.Dropout(0.5), mf.Softmax(), mf.Linear(4, 2))
    return model, mf.CrossEntropyLoss(), mf.Adam(model)


def proven(model, loss, optimizer):
    x, y = mf.datasets.disk(30)
    try:
        return proof(View(model, loss, x, y), optimizer)
    except (ValueError, TypeError, AttributeError) as error:
        return {"passed": False, "words": str(error)}


def test_without_an_exhibit_everything_is_proven():
    assert proven(*project())["passed"]


@pytest.mark.parametrize("exhibit", museum.EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_an_exhibit_is_caught_and_goes_away(exhibit):
    model, loss, optimizer = project()
    candidates = [*model.layers.values(), loss]
    layer = [layer for layer in candidates if exhibit.suits(layer)][-1]
    weights = [p.value for p in model.parameters()]
    before = type(layer)
    museum.plug_in(layer, exhibit.name)
    assert type(layer) is exhibit.made
    found = proven(model, loss, optimizer)
    assert not found["passed"], found["words"]
    museum.take_out(layer)
    assert type(layer) is before and proven(model, loss, optimizer)["passed"]
    assert all(a is b.value for a, b in zip(weights, model.parameters()))


def test_adam_without_its_count_is_caught():
    model, loss, _ = project()
    found = proven(model, loss, mistakes.Uncounted(model))
    assert not found["passed"] and "every step has length 1, and these have 1.00, 1.34" in found["words"]


def test_gradients_that_pile_up_are_caught():
    model, loss, _ = project()
    found = proven(model, loss, mistakes.PilingUp(model, lr=0.1))
    assert not found["passed"] and "these have 1.00, 2.00, 3.00" in found["words"]
    assert proven(model, loss, mf.SGD(model, lr=0.1, momentum=0.9))["passed"]


@pytest.mark.parametrize(
    "exhibit", [e for e in museum.EXHIBITS if e.name != "AlwaysBias"], ids=lambda exhibit: exhibit.name
)
def test_an_exhibit_trains_in_fit(exhibit):
    model, loss, optimizer = project()
    layer = [layer for layer in [*model.layers.values(), loss] if exhibit.suits(layer)][-1]
    museum.plug_in(layer, exhibit.name)
    x, y = mf.datasets.disk(40)
    history = model.fit(x, y, loss=loss, optimizer=optimizer, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_every_exhibit_says_what_it_does_what_one_sees_and_what_catches_it():
    for exhibit in museum.EXHIBITS:
        assert exhibit.words and exhibit.symptom and exhibit.check, exhibit.name


def test_what_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="Maskless stands in for a Dropout, and this is Linear"):
        museum.plug_in(mf.Linear(2, 2), "Maskless")
    with pytest.raises(ValueError, match="Transposed stands in for a Linear with as many inputs as outputs"):
        museum.plug_in(mf.Linear(2, 3), "Transposed")
    with pytest.raises(ValueError, match="the museum has no 'Unicorn'"):
        museum.named("Unicorn")


def test_a_forward_that_changes_its_input_is_named():
    hungry = mf.ReLU()
    museum.plug_in(hungry, "Hungry")
    calls = [("0", mf.ReLU(), [mx.ones((2, 3))]), ("1", hungry, [mx.ones((2, 3))])]
    assert museum.mutated_inputs(calls) == ["1"]


def test_a_class_of_ones_own_may_have_the_name_of_an_exhibit():
    class Leaking(mf.Module):
        def forward(self, x):
            return x

    assert mf.register(Leaking) is Leaking
    with pytest.raises(TypeError, match="load could not find the class Hungry"):
        mf.Sequential(mistakes.Hungry()).save("never.model")
