"""There are enough exercises, and their stubs do not give the answer away."""

from pathlib import Path

from exercise_answers import ANSWERS

from miniframe import exercises

exercises.get("1.1")
ROOT = Path(__file__).parents[2]


NUMBERS = list(exercises.CATALOGUE)


def test_there_are_enough_and_every_lesson_has_some():
    backward = [e for e in exercises.CATALOGUE.values() if e.title.startswith("Write this backward")]
    assert len(NUMBERS) >= 20 and len(backward) >= 12
    lessons = {int(path.stem.split("_")[1]) for path in (ROOT / "tutorials").glob("lesson_*.md")}
    assert {int(number.split(".")[0]) for number in NUMBERS} == lessons
    assert set(ANSWERS) == set(NUMBERS)


def test_hints_do_not_contain_the_answer():
    for number, answers in ANSWERS.items():
        for line in answers.right.split("\n"):
            if line.startswith("return ") and len(line) > 20:
                assert line.removeprefix("return ") not in exercises.CATALOGUE[number].stub
