"""What arguments have to be: whole numbers, real numbers, switches. Each check says in one line what came instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np

LONGEST = 60  # characters of a value in an error


def whole(where: str, least: int = 1, most: int | None = None, **named: Any) -> None:
    """Raise a ValueError that names the first argument that is not a whole number from ``least`` on.

    >>> whole("Linear", in_features=2, out_features=3)
    """
    for name, value in named.items():
        if not is_whole(value) or value < least or most is not None and value > most:
            span = f"of at least {least}" if most is None else f"in {least}..{most}"
            raise ValueError(f"{where}: expected {name} as a whole number {span}, got {shown(value)}")


def shown(value: Any) -> str:
    """A value as an error shows it: in one line, cut off where it is long.

    >>> shown("3"), shown(list(range(99)))
    ("'3'", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16...')
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def meant(word: Any, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """What an unknown name was probably meant to be, as the end of an error; empty if nothing comes to mind.

    >>> meant("Adam", ["sgd", "adam"]), meant("binary_crossentropy", ["bce"], {"binary_crossentropy": "bce"})
    ("; did you mean 'adam'?", "; did you mean 'bce'?")
    """
    if not isinstance(word, str):
        return ""
    found = (elsewhere or {}).get(word.lower()) or next(iter(get_close_matches(word.lower(), known, n=1)), None)
    return f"; did you mean {found!r}?" if found else ""


def is_whole(value: Any) -> bool:
    """Whether this is an integer of Python or NumPy; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def real(where: str, least: float = -math.inf, **named: Any) -> None:
    """Raise a ValueError that names the first argument that is not a real number from ``least`` on (NaN never is).

    >>> real("SGD", least=0, decay=0.5)
    """
    for name, value in named.items():
        if not is_real(value) or (least == -math.inf and math.isnan(value)):
            raise ValueError(f"{where}: expected {name} as a number, got {shown(value)}")
        if not value >= least:
            raise ValueError(f"{where}: expected {name} >= {least}, got {shown(value)}")


def is_real(value: Any) -> bool:
    """Whether this is a number, as opposed to a text, a switch, None or an array."""
    return isinstance(value, (Real, np.number)) and not isinstance(value, (bool, np.bool_))


def switch(where: str, **named: Any) -> None:
    """Raise a ValueError that names the first argument that is neither True nor False."""
    for name, value in named.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{where}: expected {name} as True or False, got {shown(value)}")


@contextmanager
def said_by(where: str) -> Iterator[None]:
    """An unsuitable argument that is found inside is reported under this name, in front of the finder's own."""
    try:
        yield
    except (TypeError, ValueError, IndexError) as error:
        if str(error).startswith(where) or type(error) not in (TypeError, ValueError, IndexError):
            raise
        error.args = (f"{where}: {error}",)  # the same error, so that there is one traceback
        raise
