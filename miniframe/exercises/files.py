"""The learner's side: write a stub, read it back, say what is right or wrong."""

from __future__ import annotations

import re
from pathlib import Path

from ..backend import shell
from .catalogue import CATALOGUE, get
from .exercise import Verdict
from .sandbox import MEMORY, SECONDS, judge_files


def path_of(number: str, folder: str | Path = ".") -> Path:
    """Where an exercise's file lies.

    >>> str(path_of("4.2"))
    'exercise_4_2.py'
    """
    return Path(folder) / f"exercise_{number.replace('.', '_')}.py"


def belongs_to(number: str, path: Path) -> str:
    """The exercise whose stub the file began as, going by the title in its first line; else the one it is named after.

    Exercises are numbered with their lessons, so a file that was begun under an older number says so.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        title = re.match(r'"""Exercise \d+\.\d+\. (.+)\.$', file.readline())
    same = [other for other in CATALOGUE if title and CATALOGUE[other].title == title[1]]
    return same[0] if same else number


def start(number: str, folder: str | Path = ".", reset: bool = False) -> Path:
    """Write the stub of an exercise into the folder, and return its path.

    A file that exists is never overwritten: with ``reset`` it is kept as ``.bak`` (``.bak2``, ...), without it refused.
    """
    stub = get(number).stub
    path = path_of(number, folder)
    if path.exists():
        if not reset:
            raise ValueError(
                f"{path} exists already; to start again: {shell.miniframe()} exercises start {number} --reset"
            )
        path.rename(_backup(path))
    path.write_text(stub, encoding="utf-8")
    return path


def _backup(path: Path) -> Path:
    """The first free name for the old file."""
    count, backup = 1, path.with_name(path.name + ".bak")
    while backup.exists():
        count += 1
        backup = path.with_name(f"{path.name}.bak{count}")
    return backup


def check(number: str, folder: str | Path = ".") -> str | None:
    """Check the file of an exercise, in a process of its own: None if it is right, else a hint."""
    get(number)
    path = path_of(number, folder)
    if not path.exists():
        raise ValueError(f"{path} is missing; write it with: {shell.miniframe()} exercises start {number}")
    verdict = verdicts([number], folder)[0]
    return None if verdict.right else verdict.hint


def verdicts(
    numbers: list[str], folder: str | Path = ".", seconds: float = SECONDS, memory: int = MEMORY, seed: int = 0
) -> list[Verdict]:
    """A verdict for each exercise; "missing" where the folder has no file for it.

    Args:
        seconds, memory: what each answer may take.
        seed: of the data that the answers are tried on; 0 gives everybody the same.
    """
    present = [(number, path_of(number, folder)) for number in numbers if path_of(number, folder).is_file()]
    judged = {}
    for number, path in present:
        if (other := belongs_to(number, path)) != number:
            hint = f"{path.name} answers what is exercise {other} now: rename it to {path_of(other).name}."
            judged[number] = Verdict(number, "not run", hint)
    present = [answer for answer in present if answer[0] not in judged]
    judged |= {verdict.number: verdict for verdict in judge_files(present, seconds, memory, seed)}
    missing = f"There is no file; write it with: {shell.miniframe()} exercises start "
    return [judged.get(number, Verdict(number, "missing", missing + number)) for number in numbers]
