"""What a user sees: the table of contents, the verbs that classes are taught, and what type checkers make of them."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import taught

import miniframe as mf

PACKAGE = Path(mf.__file__).parent
VERBS = list(taught.verbs(PACKAGE))


def test_dir_is_the_table_of_contents():
    assert dir(mf) == sorted(mf.__all__) and len(set(mf.__all__)) == len(mf.__all__)
    assert all(hasattr(mf, name) for name in mf.__all__)
    assert [name for name in dir(mf) if name.startswith("_")] == ["__version__"]
    floors = {"backend", "core", "layers", "graph", "data", "training", "saving", "insight", "checking", "drawing"}
    assert not floors & set(dir(mf))


def test_everything_public_has_words():
    for name in set(mf.__all__) - {"__version__"}:
        assert getattr(mf, name).__doc__, name


@pytest.mark.parametrize("name", ["distributed", "initializers", "metrics", "random", "schedules"])
def test_modules_that_live_in_a_folder_are_imported_by_their_public_name(name):
    assert importlib.import_module(f"miniframe.{name}") is getattr(mf, name)
    code = f"import miniframe.{name} as m, miniframe; from miniframe import {name}; print(m is {name})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.stdout == "True\n", done.stderr


def test_public_functions_are_imported_from_those_modules():
    from miniframe.distributed import rank
    from miniframe.initializers import orthogonal
    from miniframe.metrics import accuracy
    from miniframe.random import get_state
    from miniframe.schedules import cosine

    assert (cosine, orthogonal, accuracy) == (mf.schedules.cosine, mf.initializers.orthogonal, mf.metrics.accuracy)
    assert (rank, get_state) == (mf.distributed.rank, mf.random.get_state)


# -------------------------------------------------------------------- verbs


def test_the_classes_that_are_taught_something_are_known():
    names = {verb.cls.__name__ for verb in VERBS}
    assert names == {
        "Module",
        "Node",
        "History",
        "Sequential",
        "Graph",
        "Expression",
        "Parameter",
        "Schedule",
        "FlightRecorder",
        "Picture",
    }
    listed = {(verb.cls.__name__, verb.name) for verb in VERBS}
    assert {("Module", "fit"), ("Graph", "insert"), ("Expression", "sum"), ("Picture", "save")} <= listed


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: f"{verb.cls.__name__}.{verb.name}")
def test_a_listed_verb_has_been_taught_with_a_docstring(verb):
    found = vars(verb.cls)[verb.name]
    assert verb.function is None or inspect.unwrap(found) is verb.function
    if not verb.name.startswith("_"):  # operators need no words
        assert found.__doc__


def test_what_a_class_was_taught_is_listed_in_it():
    listed = {(verb.cls, verb.name) for verb in VERBS}
    for cls in {verb.cls for verb in VERBS}:
        for name, value in vars(cls).items():
            from_elsewhere = inspect.isfunction(value) and value.__module__ != cls.__module__
            assert not from_elsewhere or (cls, name) in listed, f"{cls.__name__}.{name}"


USE = """
import mlx.core as mx

import miniframe as mf

model = mf.Sequential(mf.Linear(2, 1))
x, y = mx.zeros((4, 2)), mx.zeros((4, 1))
model.fit(x, y, loss="mse", optimizer="sgd")
model.fit(x, y, loss="mse", optimiser="sgd")  # wrong
reveal_type(model.predict(x))
reveal_type(model.fit(x, y, loss="mse", optimizer="sgd"))
reveal_type(mf.schedules.cosine(0.1, 10).plot)
model.predict(x, batchsize=3)  # wrong
"""


@pytest.mark.skipif("FAKEGPU" in os.environ, reason="computes nothing")
def test_mypy_sees_the_real_signatures_of_taught_verbs(tmp_path):
    path = tmp_path / "use.py"
    path.write_text(USE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(path)],
        capture_output=True, text=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    lines = [int(line) for line in re.findall(r"use\.py:(\d+): error: Unexpected keyword argument", done.stdout)]
    assert lines == [number for number, line in enumerate(USE.splitlines(), 1) if "# wrong" in line], done.stdout
    assert 'did you mean "optimizer"?' in done.stdout and "Found 2 errors" in done.stdout
    first, second, third = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert (first, second) == ("mlx.core.array", "miniframe.training.history.History")
    assert third.startswith("def (steps:") and third.endswith("Figure")
