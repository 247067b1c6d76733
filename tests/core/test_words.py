"""Tables, shapes, numbers and names, said everywhere in the same way."""

import mlx.core as mx
import pytest

from miniframe.core.tables import sample_shape, table
from miniframe.core.words import brief, numbered, shape_text


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_end_together():
    lines = table([("name", "what", "n"), ("a", "longer", "1,000"), ("bcdef", "", "7")], numbers=1)
    assert lines == ["name   what        n", "a      longer  1,000", "bcdef              7"]
    assert table([("a", ""), ("bb", "")]) == ["a", "bb"], "no blanks at the end of a line"


@pytest.mark.parametrize(
    "name, taken, joint, expected",
    [
        ("relu", [], "_", "relu"),
        ("relu", {"relu"}, "_", "relu_2"),
        ("relu", {"relu": 1, "relu_2": 2, "relu_3": 3}, "_", "relu_4"),
        ("relu", ["relu", "relu_3"], "_", "relu_2"),
        ("0", ["0", "0#2"], "#", "0#3"),
        ("0", ["0_2"], "#", "0"),
    ],
)
def test_a_taken_name_gets_the_first_free_number(name, taken, joint, expected):
    assert numbered(name, taken, joint) == expected


def test_shapes_of_samples_and_values():
    assert sample_shape((28, 28, 1)) == "(batch, 28, 28, 1)" and sample_shape(()) == "(batch)"
    assert shape_text(mx.zeros((2, 3))) == "(2, 3)" and shape_text(mx.array(1.0)) == "()"
    assert shape_text((mx.zeros(2), (mx.zeros(3), 4))) == "(2,), (3,), number"
    assert shape_text(2.5) == "number"


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, "None"),
        (3, "3"),
        (0.25, "0.25"),
        (mx.array(-12.0), "-12"),
        (mx.array([[1 / 3]]), "0.333333"),
        (mx.zeros((5, 3)), "array(5, 3)"),
        (mx.zeros((0,)), "array(0,)"),
        ((mx.array(1.0), None, mx.zeros(2)), "(1, None, array(2,))"),
    ],
)
def test_a_value_in_a_word(value, expected):
    assert brief(value) == expected
