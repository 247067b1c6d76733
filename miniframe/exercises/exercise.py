"""What an exercise is, what is said about an answer, and the list of all exercises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Namespace = dict[str, Any]

DEFINED: dict[str, Exercise] = {}  # in the order of the files; catalogue.py puts them into that of the lessons
DERIVATIVES = ("mx.grad", "value_and_grad", "vjp", "jvp", "custom_function", "check_gradients", "jacobian")


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
        points: what a right answer counts.
        forbidden: names that the answer must not use, because they are the answer.
    """

    number: str
    title: str
    stub: str
    check: Callable[[Namespace], None]
    points: int = 1
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What is said about one answer.

    Attributes:
        number: of the exercise.
        status: "right"; "wrong", with a hint; "not run", where the answer could not be judged: it crashed, ended
            Python, took too long, or is no Python; or "missing", where there is no file.
        hint: what is wrong, or why nothing can be said.
        printed: what the answer printed.
    """

    number: str
    status: str
    hint: str = ""
    printed: str = ""

    @property
    def right(self) -> bool:
        return self.status == "right"


def exercise(
    number: str, title: str, stub: str, points: int = 1, forbidden: tuple[str, ...] = ()
) -> Callable[[Callable[[Namespace], None]], Exercise]:
    """Put an exercise into the catalogue; decorates the function that checks it."""
    if title.startswith("Write this backward"):
        forbidden = (*forbidden, *DERIVATIVES)

    def register(check: Callable[[Namespace], None]) -> Exercise:
        text = f'"""Exercise {number}. {title}.\n{stub}'
        DEFINED[number] = Exercise(number, title, text, check, points, forbidden)
        return DEFINED[number]

    return register
