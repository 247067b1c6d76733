"""There are enough exercises, and their stubs do not give the answer away."""

from exercise_answers import ANSWERS

from miniframe import exercises

exercises.get("1.1")


NUMBERS = list(exercises.CATALOGUE)


def test_there_are_enough_and_every_lesson_has_some():
    backward = [e for e in exercises.CATALOGUE.values() if e.title.startswith("Write this backward")]
    assert len(NUMBERS) >= 20 and len(backward) >= 12
    assert {int(number.split(".")[0]) for number in NUMBERS} == set(range(1, 14))
    assert set(ANSWERS) == set(NUMBERS)


def test_hints_do_not_contain_the_answer():
    for number, answers in ANSWERS.items():
        for line in answers.right.split("\n"):
            if line.startswith("return ") and len(line) > 20:
                assert line.removeprefix("return ") not in exercises.CATALOGUE[number].stub
