"""Exercises: a blank fails, the right answer passes, and every classic mistake gets its own hint."""

import re

import pytest
from exercise_answers import ANSWERS, examined, filled
from exercise_spellings import RIGHT
from exercise_spellings import WRONG as LOOKS_RIGHT

from miniframe import exercises

NUMBERS = list(exercises.CATALOGUE)
WRONG = [(number, hint) for number, answers in ANSWERS.items() for hint in answers.wrong]


def checked(number, folder, text):
    """The hint; None for a right answer."""
    verdict = examined(number, folder, text)
    assert verdict.right == (verdict.hint == "")
    return verdict.hint or None


@pytest.mark.parametrize("number", NUMBERS)
def test_a_blank_fails_and_the_right_answer_passes(number, tmp_path):
    path = exercises.start(number, tmp_path)
    assert "Not written yet" in checked(number, tmp_path, path.read_text())
    assert checked(number, tmp_path, filled(number, ANSWERS[number].right)) is None


@pytest.mark.parametrize(("number", "hint"), WRONG)
def test_a_classic_mistake_gets_its_own_hint(number, hint, tmp_path):
    said = checked(number, tmp_path, filled(number, ANSWERS[number].wrong[hint]))
    assert said is not None and hint in said, said
    others = [other for other in ANSWERS[number].wrong if other != hint and other in said]
    assert not others, f"{said!r} is also the hint for {others}"


@pytest.mark.parametrize(("number", "answer"), [(n, answer) for n, answers in RIGHT.items() for answer in answers])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_right_answer_may_be_spelt_in_many_ways(number, answer, seed, tmp_path):
    assert examined(number, tmp_path, with_numpy(filled(number, answer)), seed).hint == ""


@pytest.mark.parametrize(("number", "answer", "hint"), LOOKS_RIGHT)
def test_what_looks_right_at_first_sight_is_refused_with_its_own_hint(number, answer, hint, tmp_path):
    said = examined(number, tmp_path, with_numpy(filled(number, answer)))
    assert said.status == "wrong" and hint in said.hint, said.hint


def with_numpy(text):
    """The answer's file, in which a learner has imported NumPy, too."""
    head, quotes, rest = text.partition('"""\n')
    return f"{head}{quotes}import mlx.core as mx\nimport numpy as np\n{rest}"


def test_errors_in_the_learners_file_name_the_line(tmp_path):
    assert checked("4.2", tmp_path, "def broken(:\n") == "Python cannot read line 1: invalid syntax."
    assert checked("4.2", tmp_path, "x = 1\n") == "Your file has no MyReLU. Keep the name that the stub uses."
    said = checked("4.2", tmp_path, filled("4.2", "return grad_output * nothing"))
    assert re.fullmatch(r"Line \d+ of exercise_4_2.py raised NameError: name 'nothing' is not defined", said)


def test_a_changed_forward_is_noticed(tmp_path):
    text = filled("4.2", "return grad_output * 0").replace("return mx.maximum(x, 0)", "return x * 0")
    assert "forward no longer computes" in checked("4.2", tmp_path, text)
