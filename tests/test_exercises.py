"""Exercises: a blank fails, the right answer passes, and every classic mistake gets its own hint."""

import re
import textwrap

import pytest
from exercise_answers import ANSWERS

from miniframe import exercises
from miniframe.cli import main

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


def test_there_are_enough_and_every_lesson_has_some():
    backward = [e for e in exercises.CATALOGUE.values() if e.title.startswith("Write this backward")]
    assert len(NUMBERS) >= 20 and len(backward) >= 12
    assert {int(number.split(".")[0]) for number in NUMBERS} == set(range(1, 14))
    assert set(ANSWERS) == set(NUMBERS)


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


def test_hints_do_not_contain_the_answer():
    for number, answers in ANSWERS.items():
        for line in answers.right.split("\n"):
            if line.startswith("return ") and len(line) > 20:
                assert line.removeprefix("return ") not in exercises.CATALOGUE[number].stub


def test_a_file_is_never_overwritten(tmp_path):
    exercises.start("4.2", tmp_path).write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        exercises.start("4.2", tmp_path)


def test_unknown_numbers_and_missing_files_are_explained(tmp_path):
    with pytest.raises(ValueError, match="no exercise '99.1'; known: 1.1, 1.2"):
        exercises.start("99.1", tmp_path)
    with pytest.raises(ValueError, match="miniframe exercises start 4.2"):
        exercises.check("4.2", tmp_path)


def test_errors_in_the_learners_file_name_the_line(tmp_path):
    assert checked("4.2", tmp_path, "def broken(:\n") == "Python cannot read line 1: invalid syntax."
    assert checked("4.2", tmp_path, "x = 1\n") == "Your file has no MyReLU. Keep the name that the stub uses."
    said = checked("4.2", tmp_path, filled("4.2", "return grad_output * nothing"))
    assert re.fullmatch(r"Line \d+ of exercise_4_2.py raised NameError: name 'nothing' is not defined", said)


def test_a_changed_forward_is_noticed(tmp_path):
    text = filled("4.2", "return grad_output * 0").replace("return mx.maximum(x, 0)", "return x * 0")
    assert "forward no longer computes" in checked("4.2", tmp_path, text)


def test_the_command_line_lists_starts_and_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["exercises"]) == 0
    assert "4.2   Write this backward: ReLU" in capsys.readouterr().out
    assert main(["exercises", "start", "4.2"]) == 0
    assert "exercise_4_2.py" in capsys.readouterr().out
    assert main(["check", "4.2"]) == 1
    assert "Not written yet" in capsys.readouterr().out
    (tmp_path / "exercise_4_2.py").write_text(filled("4.2", ANSWERS["4.2"].right))
    assert main(["check", "4.2"]) == 0
    assert "4.2 is right" in capsys.readouterr().out
    assert main(["exercises"]) == 0
    assert "ReLU (started)" in capsys.readouterr().out
