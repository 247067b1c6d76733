"""Classes learn verbs from files that are built on them."""

import pytest

from miniframe.core.teach import teach


class Point:
    """A class to be taught."""

    x = 2

    def known(self):
        return "its own"


class Lower(Point):
    """Inherits what Point has and is taught."""


def double(point, times=1):
    """Twice x, or more often."""
    return 2 * point.x * times


def test_a_verb_is_a_method_with_its_signature_and_words():
    class Fresh(Point):
        pass

    teach(Fresh, double, origin=0, half=property(lambda point: point.x / 2))
    point = Fresh()
    assert point.double(times=3) == 12 and Fresh.double is double and Fresh.double.__doc__ == double.__doc__
    assert point.origin == 0 and point.half == 1


def test_subclasses_know_what_their_base_was_taught():
    class Base:
        x = 3

    class Derived(Base):
        pass

    teach(Base, double)
    assert Derived().double() == 6


@pytest.mark.parametrize("name", ["known", "x", "__init__", "__doc__"])
def test_a_name_that_the_class_has_is_not_overwritten(name):
    class Full(Point):
        """Has all of these itself."""

        x = 5

        def __init__(self):
            pass

        def known(self):
            return "mine"

    before = vars(Full)[name]
    with pytest.raises(TypeError, match=f"teach: Full already has '{name}'"):
        teach(Full, **{name: None})
    assert vars(Full)[name] is before


def test_a_verb_is_taught_once_only():
    class Once:
        x = 1

    teach(Once, double)
    with pytest.raises(TypeError, match="teach: Once already has 'double'"):
        teach(Once, double)
    assert Once().double() == 2


def test_a_subclass_may_be_taught_its_own_way():
    def known(point):
        return "taught"

    teach(Lower, known)
    assert Lower().known() == "taught" and Point().known() == "its own"
