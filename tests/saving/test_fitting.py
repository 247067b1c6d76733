"""A rebuilt module has what its class gives to all its instances, in the shapes that its settings say."""

from dataclasses import replace

import numpy as np
import pytest
from catalogue import CASES
from registered import Block

import miniframe as mf
from miniframe.core.cells import Buffer
from miniframe.saving.description import describe, known_classes, rebuild
from miniframe.saving.fitting import SHAPES, given_to_all, misfit


@pytest.mark.parametrize("name", CASES)
def test_no_module_as_it_is_made_is_refused(name):
    module = CASES[name].make()
    assert given_to_all(type(module)) <= set(vars(module)) and misfit(module) is None
    for _, inner in module.named_modules():
        own = {key: cell.shape for key, cell in inner.children() if isinstance(cell, Buffer)}
        listed = {key: shape for key, shape in SHAPES[type(inner)](inner).items() if key in own} if own else {}
        assert listed == own, f"the shapes of {name} have to be listed"


@pytest.mark.parametrize("name", CASES)
def test_every_attribute_that_is_missing_is_named(name):
    about, arrays = describe(CASES[name].make())
    for place, entry in enumerate(about["modules"]):
        for attribute in set(entry["attributes"]) & given_to_all(known_classes()[entry["class"]]):
            kept = {key: value for key, value in entry["attributes"].items() if key != attribute}
            modules = [*about["modules"][:place], {**entry, "attributes": kept}, *about["modules"][place + 1 :]]
            with pytest.raises(ValueError, match=f"^here: the description .* has no '{attribute}'"):
                rebuild({**about, "modules": modules}, arrays, "here")


@pytest.mark.parametrize("make", [lambda: mf.Linear(3, 2, bias=False), lambda: mf.BatchNorm(3, affine=False)])
def test_layers_without_weights_they_may_lack_are_whole(make):
    assert misfit(make()) is None


@pytest.mark.parametrize(
    "setting, value, words",
    [
        ("in_features", 4, r"Linear: expected weight of shape \(2, 4\), as its settings say, got \(2, 3\)"),
        ("out_features", "two", r"Linear: expected weight of shape \('two', 3\)"),
        ("weight", 5, r"Linear: expected weight of shape \(2, 3\), as its settings say, got int"),
        ("bias", {"cell": "weight"}, r"Linear: expected bias of shape \(2,\), as its settings say, got \(2, 3\)"),
    ],
)
def test_weights_of_another_shape_than_the_settings_say_are_refused(setting, value, words):
    about, arrays = describe(mf.Linear(3, 2))
    about["modules"][0]["attributes"][setting] = value
    with pytest.raises(ValueError, match=f"^here: the description of the model is damaged: {words}"):
        rebuild(about, arrays, "here")


def test_a_convolution_without_its_window_is_refused():
    about, arrays = describe(mf.Conv2d(1, 2, 3))
    about["modules"][0]["attributes"]["window"] = [3, 3]
    with pytest.raises(ValueError, match="Conv2d: expected window to be a window, got list"):
        rebuild(about, arrays, "here")


def test_modules_of_ones_own_are_looked_at_too():
    assert given_to_all(Block) == {"dense", "options", "again", "_offset", "count"}
    block = Block(2)
    del block.options
    assert misfit(block) == "Block has no 'options'"


def test_attributes_that_only_some_instances_have_are_not_asked_for():
    class Sometimes(mf.Module):
        later = None

        def __init__(self, more):
            self.always = 1
            if more:
                self.more = 2

    assert given_to_all(Sometimes) == {"always"} and misfit(Sometimes(False)) is None


def test_a_subclass_has_what_its_parent_gives():
    class Wider(mf.Linear):
        def __init__(self, width):
            super().__init__(width, width)
            self.extra: int = np.prod(width)

    assert given_to_all(Wider) == {"in_features", "out_features", "weight", "bias", "extra"}


@pytest.mark.parametrize(
    "make, name", [(lambda: mf.LayerNorm(3), "normalized_shape"), (lambda: mf.Conv2d(1, 2, 3), "")]
)
def test_sizes_without_an_end_are_refused_before_they_are_counted_out(make, name):
    module, endless = make(), range(10**9)
    if name:
        setattr(module, name, endless)
    else:
        module.window = replace(module.window)
        object.__setattr__(module.window, "kernel", endless)
    assert "expected a tuple of sizes, got range(0, 1000000000)" in misfit(module)
