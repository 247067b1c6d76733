"""``miniframe exercises`` and ``miniframe check``: the command line's side."""

from __future__ import annotations

import argparse
from typing import Any

from .catalogue import CATALOGUE
from .files import check, path_of, start


def add_commands(commands: Any) -> None:
    """Add the two subcommands to the ``miniframe`` parser."""
    listing = commands.add_parser("exercises", help="list the exercises of the lessons, or start one")
    listing.set_defaults(run=_list)
    actions = listing.add_subparsers(metavar="start NUMBER")
    starting = actions.add_parser("start", help="write the file of an exercise into this folder")
    starting.add_argument("number", help="such as 4.2")
    starting.set_defaults(run=_start)

    checking = commands.add_parser("check", help="check your answer to an exercise, and get a hint")
    checking.add_argument("number", help="such as 4.2")
    checking.set_defaults(run=_check)


def _list(options: argparse.Namespace) -> None:
    for exercise in CATALOGUE.values():
        begun = " (started)" if path_of(exercise.number).exists() else ""
        print(f"{exercise.number:<5} {exercise.title}{begun}")
    print("\nminiframe exercises start 4.2 writes exercise_4_2.py; miniframe check 4.2 looks at your answer.")


def _start(options: argparse.Namespace) -> None:
    path = start(options.number)
    print(f"{path}: replace the line with NotImplementedError, then: miniframe check {options.number}")


def _check(options: argparse.Namespace) -> int:
    hint = check(options.number)
    if hint is None:
        print(f"{options.number} is right.")
        return 0
    print(f"{options.number} is not right yet. {hint}")
    return 1
