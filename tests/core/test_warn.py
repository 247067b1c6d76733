"""A likely mistake is said once for each owner and kind."""

import copy
import warnings

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
