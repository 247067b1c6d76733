"""``miniframe exercises``, ``miniframe check`` and ``miniframe grade``: the command line's side."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..backend import shell
from . import grading, progress
from .catalogue import CATALOGUE, get
from .exercise import Verdict
from .files import path_of, start, verdicts
from .sandbox import MEMORY, SECONDS

NOT_RUN = 2  # exit status where an answer could not be judged; 1 is for a wrong one


def add_commands(commands: Any) -> None:
    """Add the subcommands to the ``miniframe`` parser."""
    listing = commands.add_parser("exercises", help="list the exercises of the lessons, or start one")
    listing.set_defaults(run=_list)
    actions = listing.add_subparsers(metavar="start NUMBER")
    starting = actions.add_parser("start", help="write the file of an exercise into this folder")
    starting.add_argument("number", help="such as 4.2")
    starting.add_argument("--reset", action="store_true", help="begin anew; the old file is kept as .bak")
    starting.set_defaults(run=_start)

    checking = commands.add_parser("check", help="check your answer to an exercise, and get a hint")
    checking.add_argument("number", nargs="?", help="such as 4.2")
    checking.add_argument("--all", action="store_true", help="all exercises that have a file in this folder")
    checking.add_argument("--json", action="store_true", help="print verdicts and points as JSON")
    checking.add_argument("--gradescope", metavar="FILE", help="write Gradescope's results.json to FILE")
    _add_limits(checking)
    checking.set_defaults(run=_check)

    grading_parser = commands.add_parser("grade", help="check the answers of a class: one folder for each student")
    grading_parser.add_argument("folder", help="holds a folder for each student")
    grading_parser.add_argument("--csv", metavar="FILE", default="grades.csv", help="(default grades.csv)")
    grading_parser.add_argument("--only", nargs="+", metavar="NUMBER", help="the exercises that count (default all)")
    _add_limits(grading_parser)
    grading_parser.set_defaults(run=_grade)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_positive, default=SECONDS, help=f"for each answer (default {SECONDS:g})")
    parser.add_argument("--memory", type=_positive, default=MEMORY / 2**30, metavar="GIB", help="(default 2)")
    parser.add_argument("--seed", type=_seed, default=0, help="try answers on other data (default 0: the usual ones)")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text}")
    return int(text)


def _list(options: argparse.Namespace) -> None:
    states = {number: progress.state(number) for number in CATALOGUE}
    for number, exercise in CATALOGUE.items():
        begun = "" if states[number] == "open" else f" ({states[number]})"
        print(f"{number:<5} {exercise.title}{begun}")
    counts = ", ".join(f"{list(states.values()).count(state)} {state}" for state in ("solved", "started", "open"))
    earned = progress.points(number for number, state in states.items() if state == "solved")
    print(f"\n{counts}: {earned} of {progress.points(CATALOGUE)} points.")
    print(f"{shell.miniframe()} exercises start 4.2 writes exercise_4_2.py; {shell.miniframe()} check 4.2 looks at it.")


def _start(options: argparse.Namespace) -> None:
    path = start(options.number, reset=options.reset)
    progress.forget(options.number)
    print(f"{path}: replace the line with NotImplementedError, then: {shell.miniframe()} check {options.number}")


def _check(options: argparse.Namespace) -> int:
    if options.all == (options.number is not None):
        call = f"{shell.miniframe()} check"
        raise ValueError(f"say which exercise, such as: {call} 4.2; or: {call} --all")
    numbers = list(CATALOGUE) if options.all else [get(options.number).number]
    found = verdicts(numbers, ".", options.seconds, int(options.memory * 2**30), options.seed)
    if options.seed == 0:
        progress.remember(found)
    if options.gradescope:
        grading.write_json(options.gradescope, grading.gradescope(found))
    if options.json:
        print(json.dumps(grading.as_json(found), indent=2, ensure_ascii=False))
    else:
        _say(found, options.all)
    return _status(found, options.all)


def _say(found: list[Verdict], several: bool) -> None:
    """The verdicts in words. Exercises without a file are silent when all are checked."""
    for verdict in found:
        if verdict.printed.strip():
            lines = verdict.printed.strip("\n").split("\n")
            more = [f"... and {len(lines) - 20} lines more"] if len(lines) > 20 else []
            print(f"{verdict.number} printed:", *(f"  {line[:200]}" for line in lines[:20] + more), sep="\n")
        if verdict.right:
            print(f"{verdict.number} is right.")
        elif verdict.status == "wrong":
            print(f"{verdict.number} is not right yet. {verdict.hint}")
        elif verdict.status == "not run":
            print(f"{verdict.number} could not be judged. {verdict.hint}")
        elif not several:
            print(f"{path_of(verdict.number)} is missing. {verdict.hint}", file=sys.stderr)
    if several:
        right = sum(verdict.right for verdict in found)
        print(f"{right} of {len(found)} right: {grading.earned(found)} of {progress.points(CATALOGUE)} points.")


def _status(found: list[Verdict], several: bool) -> int:
    """0 if everything is right, 2 if an answer could not be judged, else 1."""
    if any(verdict.status == "not run" or (verdict.status == "missing" and not several) for verdict in found):
        return NOT_RUN
    return 0 if all(verdict.right for verdict in found) else 1


def _grade(options: argparse.Namespace) -> None:
    if not Path(options.folder).is_dir():
        raise ValueError(f"{options.folder} is no folder")
    numbers = [get(number).number for number in dict.fromkeys(options.only or CATALOGUE)]
    of, graded = progress.points(numbers), []
    for student, found in grading.grade(
        options.folder, numbers, options.seed, options.seconds, int(options.memory * 2**30)
    ):
        graded.append((student, found))
        print(f"{student}: {grading.earned(found)} of {of} points", flush=True)
    grading.write_csv(options.csv, graded)
    print(f"{len(graded)} students: {options.csv}")
