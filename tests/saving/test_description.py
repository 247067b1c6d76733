"""Descriptions of models: what they may hold, and what a damaged or hostile one cannot do."""

import json

import mlx.core as mx
import pytest
from registered import Block

import miniframe as mf
from miniframe.saving.description import describe, known_classes, rebuild
from miniframe.saving.files import KEY


def small():
    return mf.Sequential({"first": mf.Linear(3, 4), "bend": mf.LeakyReLU(0.3), "last": mf.Linear(4, 2, bias=False)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_an_unknown_class_in_a_file_is_named():
    about, arrays = describe(small())
    about["modules"][0]["class"] = "os.system"
    with pytest.raises(ValueError, match=r"here: the model contains 'os\.system', which is not a known class"):
        rebuild(about, arrays, "here")


@pytest.mark.parametrize("key", ["root", "modules", "cells", "nodes"])
@pytest.mark.parametrize("value", [None, 7, "text", {"module": 99}, {"no": 1}, [[]]])
def test_a_damaged_description_is_an_error_not_a_crash(key, value):
    about, arrays = describe(small())
    with pytest.raises(ValueError, match="here: the description of the model is damaged"):
        rebuild({**about, key: value}, arrays, "here")


def test_a_dtype_in_a_file_can_name_nothing_else():
    about, arrays = describe(small())
    about["root"] = {"dtype": "eval"}
    with pytest.raises(ValueError, match="damaged"):
        rebuild(about, arrays, "here")


@pytest.mark.parametrize("name", ["__class__", "forward", "backward", "parameters"])
def test_a_file_cannot_replace_what_a_module_does(name):
    about, arrays = describe(small())
    about["modules"][1]["attributes"][name] = {"module": 0}
    with pytest.raises(ValueError, match=f"here: .* damaged: '{name}' is no setting"):
        rebuild(about, arrays, "here")


def test_registering_a_taken_name_or_no_module_is_an_error():
    with pytest.raises(ValueError, match="the name Linear already means miniframe.layers.linear.Linear"):
        mf.register(type("Linear", (mf.Module,), {}))
    with pytest.raises(TypeError, match="expected a Module class"):
        mf.register(print)
    assert known_classes()["Block"] is Block


def test_the_description_is_readable_json_in_the_header(path):
    small().save(path)
    _, metadata = mx.load(str(path), return_metadata=True)
    assert [m["class"] for m in json.loads(metadata[KEY])["modules"]] == ["Sequential", "Linear", "LeakyReLU", "Linear"]


@pytest.mark.parametrize("where", ["saving", "loading"])
def test_modules_nested_deeper_than_python_can_follow_are_one_line(path, where):
    model = mf.Linear(2, 2)
    for _ in range(1000):
        model = mf.Sequential(model)
    if where == "saving":
        with pytest.raises(ValueError, match="^cannot save Sequential: its modules are nested deeper than Python can"):
            model.save(path)
    else:
        about, arrays = describe(small())
        deep = []
        for _ in range(5000):
            deep = [deep]
        with pytest.raises(ValueError, match="^here: the model in it is nested deeper than Python can follow$"):
            rebuild({**about, "root": deep}, arrays, "here")


def test_a_range_where_a_tuple_belongs_is_refused_before_it_is_counted_out():
    about, arrays = describe(mf.Conv2d(1, 2, 3))
    about["modules"][0]["attributes"]["window"] = {"window": {"range": [0, 10**9]}}
    with pytest.raises(ValueError, match=r"^here: .* expected a tuple, got range\(0, 1000000000\)"):
        rebuild(about, arrays, "here")
