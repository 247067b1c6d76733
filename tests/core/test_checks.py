"""What arguments have to be, and how it is said when they are not."""

import numpy as np
import pytest

from miniframe.core.checks import real, said_by, shown, switch, whole


@pytest.mark.parametrize("value", [1, 7, np.int8(3), np.uint64(5)])
def test_whole_numbers_of_python_and_numpy_pass(value):
    whole("f", n=value)
    real("f", n=value)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: whole("f", a=1, b=0), "f: expected b as a whole number of at least 1, got 0"),
        (lambda: whole("f", 0, 9, b=10), "f: expected b as a whole number in 0..9, got 10"),
        (lambda: whole("f", b=True), "f: expected b as a whole number of at least 1, got True"),
        (lambda: whole("f", b=2.0), "f: expected b as a whole number of at least 1, got 2.0"),
        (lambda: real("f", b="1"), "f: expected b as a number, got '1'"),
        (lambda: real("f", b=False), "f: expected b as a number, got False"),
        (lambda: real("f", least=0, b=float("nan")), "f: expected b >= 0, got nan"),
        (lambda: real("f", least=0, b=-0.5), "f: expected b >= 0, got -0.5"),
        (lambda: real("f", b=float("nan")), "f: expected b as a number, got nan"),
        (lambda: switch("f", b=1), "f: expected b as True or False, got 1"),
    ],
)
def test_the_first_that_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == words


def test_long_values_are_shown_in_one_short_line():
    text = shown(np.arange(500).reshape(50, 10))
    assert "\n" not in text and len(text) == 60 and text.endswith("...")


def test_errors_about_arguments_get_a_name_in_front_once_and_others_stay_as_they_are():
    with pytest.raises(ValueError, match="^fit: Linear: no$"), said_by("fit"):
        raise ValueError("Linear: no")
    with pytest.raises(TypeError, match="^fit: no$"), said_by("fit"):
        raise TypeError("fit: no")
    for other in (KeyError("no"), UnicodeError("no"), RuntimeError("no")):
        with pytest.raises(type(other)) as caught, said_by("fit"):
            raise other
        assert caught.value is other
