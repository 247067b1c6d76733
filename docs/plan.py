"""Writes the ten weeks into docs/teaching.md, with the lessons, exercises and points that there are.

    python docs/plan.py

A week names words of lessons' file names; a lesson that no week names is listed below the table.
"""

import re
from pathlib import Path

from miniframe.exercises import CATALOGUE

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "teaching.md"
MARKS = ("<!-- weeks: begin -->", "<!-- weeks: end -->")
PROJECT, TALKS = 40, 10  # points
WEEKS = [  # (words of the file names of its lessons, what happens besides)
    ("arrays neuron", "The first hour, below. Everybody's machine runs `miniframe check`."),
    ("backpropagation", "On paper, in pairs: a graph each, gradients by hand, then exchanged and checked."),
    ("layers_by_hand", "Each plants one mistake in a backward; a neighbour finds it, first by reading, then by proof."),
    ("disk classification", "Predict the test error before training; the closest guess explains it."),
    ("generalisation start", "Projects are chosen. One page: question, data, what would count as an answer."),
    ("convolution why", "A filter by hand on squared paper."),
    ("optimizers doctor", "A broken training for each group, to be diagnosed."),
    ("two_models graphs pytorch", "Draft of the project's first picture."),
    ("sequences attention things", "Projects: half an hour with each group."),
    ("fast machines museum", "Projects are presented: eight minutes, two questions. Which of the exhibits was yours?"),
]  # fmt: skip


def lessons() -> list[Path]:
    return sorted((ROOT / "tutorials").glob("lesson_*.md"))


def lessons_of(words: str) -> list[Path]:
    """The lessons of a week: each word of a week belongs to the file names that contain it."""
    return [path for path in lessons() if any(word in path.stem for word in words.split())]


def exercises(path: Path) -> tuple[list[str], list[str]]:
    """(numbers of those that the machine checks, numbers of those on paper)."""
    part = path.read_text().partition("\n## Exercises\n")[2].partition("\n## ")[0]
    numbers = re.findall(r"^\*\*(\d+\.\d+)", part, re.MULTILINE)
    return [n for n in numbers if n in CATALOGUE], [n for n in numbers if n not in CATALOGUE]


def points_of(path: Path) -> int:
    """Those of the catalogue, and one for each exercise on paper."""
    machine, paper = exercises(path)
    return sum(CATALOGUE[number].points for number in machine) + len(paper)


def link(path: Path) -> str:
    title = path.read_text().splitlines()[0].removeprefix("# Lesson ").partition(": ")
    return f"[{title[0]}. {title[2]}](../tutorials/{path.name})"


def table() -> str:
    """The weeks, and the points of the whole course."""
    lines = ["| week | read | exercises | points | and |", "|---|---|---|---|---|"]
    seen: set[Path] = set()
    for number, (words, more) in enumerate(WEEKS, 1):
        found = [path for path in lessons_of(words) if path not in seen]
        seen.update(found)
        done = [n for path in found for n in [*exercises(path)[0], *(f"*{n}*" for n in exercises(path)[1])]]
        points = sum(map(points_of, found))
        lines.append(f"| {number} | {'; '.join(map(link, found))} | {', '.join(done)} | {points} | {more} |")
    rest = [path for path in lessons() if path not in seen]
    further = f"\nFor whoever has time: {', '.join(map(link, rest))}.\n" if rest else ""
    whole = sum(map(points_of, seen))
    total = (
        f"{whole} points for the exercises (those in *italics* are on paper), {PROJECT} for the project, {TALKS} for "
        f"explaining one backward\nat the board: {whole + PROJECT + TALKS} in all."
    )
    return "\n".join(lines) + f"\n\n{total}\n{further}"


def renewed(page: str) -> str:
    """The page with the weeks as the lessons are now."""
    begin, end = MARKS
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n\n{table()}\n{end}", page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
    print(PAGE)
