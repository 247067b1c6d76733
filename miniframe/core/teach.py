"""How a class learns a verb from a file that is built on it.

``fit`` needs modules, and every module can ``fit``. So that module.py does not have to know training, the verb is a
plain function, ``def fit(model, x, ...)``, and the last line of its file hands it to the class: ``teach(Module, fit)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def teach(cls: type, *verbs: Callable[..., Any], **attributes: Any) -> None:
    """Give a class methods, under the names of the functions, and attributes, under names of their own.

    Args:
        cls: the class; its own file lists what it will be taught, for editors and type checkers.
        verbs: functions whose first argument is the object.
        attributes: anything else, such as a property or a default value.

    Raises:
        TypeError: for a name that the class itself already has.

    >>> class Point:
    ...     x = 2
    >>> def double(point):
    ...     return 2 * point.x
    >>> teach(Point, double)
    >>> Point().double()
    4
    """
    for name, value in {**{verb.__name__: verb for verb in verbs}, **attributes}.items():
        if name in vars(cls):
            raise TypeError(f"teach: {cls.__name__} already has {name!r}")
        setattr(cls, name, value)
