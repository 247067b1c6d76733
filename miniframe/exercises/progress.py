"""What the learner has done: the last verdict on each exercise, in a small file beside the answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from .catalogue import CATALOGUE
from .exercise import Verdict
from .files import belongs_to, path_of

FILE = ".miniframe_exercises.json"


def remember(verdicts: Iterable[Verdict], folder: str | Path = ".") -> None:
    """Keep the last verdict on each exercise. A folder that cannot be written to remembers nothing."""
    known = _read(folder) | {verdict.number: verdict.status for verdict in verdicts if verdict.status != "missing"}
    path = Path(folder) / FILE
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError:
        return


def forget(number: str, folder: str | Path = ".") -> None:
    """The exercise is begun anew."""
    remember([Verdict(number, "begun")], folder)


def state(number: str, folder: str | Path = ".") -> str:
    """ "solved" if the last check said so, "started" where there is a file, else "open"."""
    path = path_of(number, folder)
    if not path.exists():
        return "open"
    return "solved" if belongs_to(number, path) == number and _read(folder).get(number) == "right" else "started"


def points(numbers: Iterable[str]) -> int:
    """What these exercises count together."""
    return sum(CATALOGUE[number].points for number in numbers)


def _read(folder: str | Path) -> dict[str, str]:
    """The file's content; a missing or damaged file says nothing."""
    try:
        found = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
