"""Whether numbers lie in a range, where somebody can see them and where nobody can."""

import mlx.core as mx
import numpy as np
import pytest

from miniframe.core.ranges import first_outside, of_class, readable


def test_the_first_number_outside_is_named_with_its_place():
    assert first_outside(np.array([[0, 1], [7, 9]]), 0, 4) == "7 at [1, 0]"
    assert first_outside(np.array(5), 0, 4) == "5"
    assert first_outside(np.array([0.5, np.nan]), 0, 1) == "nan at [1]"
    assert first_outside(np.array([True, False]), 0, 0) == "True at [0]"
    for inside in (np.zeros((0, 3)), np.array([0, 4]), np.array([[True]]), np.array([255], np.uint8)):
        assert first_outside(inside, 0, 255) == ""


def test_numbers_are_readable_unless_a_function_is_compiled_or_vectorized():
    seen = []

    def look(x):
        seen.append(readable(x))
        return x

    look(mx.array([1, 2]))
    mx.compile(look)(mx.array([1, 2]))
    mx.vmap(look)(mx.array([1, 2]))
    assert seen[0].tolist() == [1, 2] and seen[1:] == [None, None]


X = mx.array([[0.25, 0.75], [0.5, 0.125]])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64, np.uint64, bool])
def test_the_number_of_a_class_is_that_of_numpy(kind):
    labels = mx.array(np.array([1, 0], kind))
    assert of_class(X, labels, "f").tolist() == mx.compile(lambda x, k: of_class(x, k, "f"))(X, labels).tolist()
    assert of_class(X, labels, "f").tolist() == [0.75, 0.5]


@pytest.mark.parametrize("bad", [2, -1, 2**31 - 1, -(2**31), -100])
def test_a_class_that_does_not_exist_is_an_error_or_nan(bad):
    labels = mx.array([1, bad])
    with pytest.raises(ValueError, match=rf"^f: expected class labels in 0..1, got {bad} at \[1\]$"):
        of_class(X, labels, "f")
    first, second = mx.compile(lambda x, k: of_class(x, k, "f"))(X, labels).tolist()
    assert first == 0.75 and np.isnan(second)
