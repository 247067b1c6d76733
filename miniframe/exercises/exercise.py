"""What an exercise is, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Namespace = dict[str, Any]

CATALOGUE: dict[str, Exercise] = {}


class Wrong(Exception):
    """The answer is not right (yet); the message is a hint, never the answer."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: lesson and place in it: "4.2".
        title: in a few words; those that start with "Write this backward" are about a derivative.
        stub: the text of the file that the learner fills in.
        check: looks at the names that the file defined and raises Wrong, with a hint.
    """

    number: str
    title: str
    stub: str
    check: Callable[[Namespace], None]


def exercise(number: str, title: str, stub: str) -> Callable[[Callable[[Namespace], None]], Exercise]:
    """Put an exercise into the catalogue; decorates the function that checks it."""

    def register(check: Callable[[Namespace], None]) -> Exercise:
        CATALOGUE[number] = Exercise(number, title, f'"""Exercise {number}. {title}.\n{stub}', check)
        return CATALOGUE[number]

    return register


def get(number: str) -> Exercise:
    """The exercise with this number.

    >>> get("4.2").title
    'Write this backward: ReLU'
    """
    from . import catalogue  # noqa: F401  # fills the catalogue

    if number not in CATALOGUE:
        raise ValueError(f"no exercise {number!r}; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[number]
