"""A likely mistake is said once for each owner and kind."""

import copy
import warnings

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.warn import warn_once


def said(owner, kind, words="mind this"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_once(owner, kind, words)
    assert all(w.category is mf.GuardrailWarning for w in caught)
    return [str(w.message) for w in caught]


def test_each_kind_is_said_once_to_each_owner():
    one, other = mf.Tanh(), mf.Tanh()
    assert said(one, "a", "first") == ["first"]
    assert said(one, "a", "again") == []
    assert said(one, "b", "another kind") == ["another kind"]
    assert said(other, "a", "to the other") == ["to the other"]


def test_a_copy_has_heard_what_the_original_has_heard():
    one = mf.Tanh()
    said(one, "a")
    assert said(copy.deepcopy(one), "a") == []


def test_the_warning_is_a_category_of_its_own():
    with pytest.warns(mf.GuardrailWarning, match="^mind this$"):
        warn_once(mf.Tanh(), "a", "mind this")


def lines_of_warnings(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return {(w.filename, w.lineno) for w in caught}


def test_warnings_point_at_the_users_line():
    """However deep in the package the mistake is noticed."""
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
    logits = mf.Linear(2, 3)
    soft = mf.Sequential(mf.Linear(2, 3), mf.Softmax())
    runs = [
        lambda: mf.BCELoss()(logits(mx.array(x * 10)), mx.zeros((6, 3))),
        lambda: soft.fit(x, np.array([0, 1, 2] * 2), loss="cross_entropy", optimizer="sgd", verbose=0),
        lambda: soft.evaluate(x, np.array([0, 1, 2] * 2), loss=mf.CrossEntropyLoss()),
    ]
    for run in runs:
        found = lines_of_warnings(run)
        assert found == {(__file__, run.__code__.co_firstlineno)}, found
