"""What an exercise is, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Namespace = dict[str, Any]

DEFINED: dict[str, Exercise] = {}  # in the order of the files; catalogue.py puts them into that of the lessons


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
        DEFINED[number] = Exercise(number, title, f'"""Exercise {number}. {title}.\n{stub}', check)
        return DEFINED[number]

    return register
