"""Exercises: a blank fails, the right answer passes, and every classic mistake gets its own hint."""

import re
import textwrap

import pytest
from exercise_answers import ANSWERS

from miniframe import exercises

exercises.get("1.1")


NUMBERS = list(exercises.CATALOGUE)
BLANK = re.compile(r"^( *)raise NotImplementedError.*$|^OR = .*\nNAND = .*$", re.MULTILINE)
WRONG = [(number, hint) for number, answers in ANSWERS.items() for hint in answers.wrong]


def filled(number, answer):
    """The stub with its blank replaced. A pair (part, instead) changes the right answer."""
    right = ANSWERS[number].right
    if isinstance(answer, tuple):
        part, instead = answer
        assert part in right + "\n"
        answer = (right + "\n").replace(part, instead).rstrip("\n")
    stub = exercises.CATALOGUE[number].stub
    blank = BLANK.search(stub)
    return stub[: blank.start()] + textwrap.indent(answer, blank[1] or "") + stub[blank.end() :]


def checked(number, folder, text):
    (folder / f"exercise_{number.replace('.', '_')}.py").write_text(text)
    return exercises.check(number, folder)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_blank_fails_and_the_right_answer_passes(number, tmp_path):
    path = exercises.start(number, tmp_path)
    assert "Not written yet" in exercises.check(number, tmp_path)
    compile(path.read_text(), "stub", "exec")
    assert checked(number, tmp_path, filled(number, ANSWERS[number].right)) is None


@pytest.mark.parametrize(("number", "hint"), WRONG)
def test_a_classic_mistake_gets_its_own_hint(number, hint, tmp_path):
    said = checked(number, tmp_path, filled(number, ANSWERS[number].wrong[hint]))
    assert said is not None and hint in said, said
    others = [other for other in ANSWERS[number].wrong if other != hint and other in said]
    assert not others, f"{said!r} is also the hint for {others}"


def test_errors_in_the_learners_file_name_the_line(tmp_path):
    assert checked("4.2", tmp_path, "def broken(:\n") == "Python cannot read line 1: invalid syntax."
    assert checked("4.2", tmp_path, "x = 1\n") == "Your file has no MyReLU. Keep the name that the stub uses."
    said = checked("4.2", tmp_path, filled("4.2", "return grad_output * nothing"))
    assert re.fullmatch(r"Line \d+ of exercise_4_2.py raised NameError: name 'nothing' is not defined", said)


def test_a_changed_forward_is_noticed(tmp_path):
    text = filled("4.2", "return grad_output * 0").replace("return mx.maximum(x, 0)", "return x * 0")
    assert "forward no longer computes" in checked("4.2", tmp_path, text)
