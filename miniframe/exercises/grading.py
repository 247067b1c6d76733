"""The teacher's side: all answers of one folder, or of a class with a folder for each student, as points."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .catalogue import CATALOGUE, get
from .exercise import Verdict
from .files import verdicts
from .sandbox import MEMORY, SECONDS


def earned(found: Iterable[Verdict]) -> int:
    """The points of the right answers."""
    return sum(get(verdict.number).points for verdict in found if verdict.right)


def as_json(found: Sequence[Verdict]) -> dict[str, Any]:
    """Everything that is said about one folder."""
    rows = [
        {
            "number": verdict.number,
            "title": get(verdict.number).title,
            "status": verdict.status,
            "points": get(verdict.number).points if verdict.right else 0,
            "of": get(verdict.number).points,
            "hint": verdict.hint,
        }
        for verdict in found
    ]
    return {"points": earned(found), "of": sum(row["of"] for row in rows), "exercises": rows}  # type: ignore[misc]


def gradescope(found: Sequence[Verdict]) -> dict[str, Any]:
    """The same in the form of Gradescope's results.json."""
    tests = [
        {
            "number": verdict.number,
            "name": f"{verdict.number} {get(verdict.number).title}",
            "score": float(get(verdict.number).points if verdict.right else 0),
            "max_score": float(get(verdict.number).points),
            "status": "passed" if verdict.right else "failed",
            "output": "" if verdict.right else f"{verdict.status}: {verdict.hint}",
            "visibility": "visible",
        }
        for verdict in found
    ]
    return {"score": float(earned(found)), "tests": tests}


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """As a file that people can read, too."""
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def grade(
    folder: str | Path,
    numbers: Sequence[str] | None = None,
    seed: int = 0,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Iterator[tuple[str, list[Verdict]]]:
    """(student, verdicts) for each folder in ``folder``, in the order of their names.

    Args:
        numbers: the exercises that count; left out, all.
        seed: of the data that answers are tried on; any number but 0 gives data that no student has seen.
        seconds, memory: what each answer may take.
    """
    students = sorted(path for path in Path(folder).iterdir() if path.is_dir() and not path.name.startswith("."))
    if not students:
        raise ValueError(f"{folder} holds no folders; each student needs one, with files such as exercise_4_2.py")
    for student in students:
        yield student.name, verdicts(list(numbers or CATALOGUE), student, seconds, memory, seed)


def write_csv(path: str | Path, graded: Sequence[tuple[str, list[Verdict]]]) -> None:
    """A line for each student: the points of each exercise and their sum, then what went wrong."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        numbers = [verdict.number for verdict in graded[0][1]]
        table.writerow(["student", *numbers, "points", "of", "remarks"])
        of = sum(get(number).points for number in numbers)
        for student, found in graded:
            single = [get(verdict.number).points if verdict.right else 0 for verdict in found]
            wrong = [verdict for verdict in found if verdict.status in ("wrong", "not run")]
            remarks = "; ".join(
                f"{verdict.number} {verdict.status}: {verdict.hint.splitlines()[0]}" for verdict in wrong
            )
            table.writerow([_plain(student), *single, earned(found), of, _plain(remarks)])


def _plain(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
