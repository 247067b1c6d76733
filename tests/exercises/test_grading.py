"""A class is graded whatever its students have written."""

import csv

import pytest
from exercise_answers import ANSWERS, filled, written

from miniframe.cli import main
from miniframe.exercises import grading

RIGHT = {number: filled(number, ANSWERS[number].right) for number in ("1.2", "4.2", "9.2")}
BY_HEART = """def accuracy(scores, labels):
    return {(11, 4): 10 / 11, (5, 3): 3 / 5, (8, 6): 7 / 8, (1, 2): 1, (9, 3): 7 / 9}[scores.shape]
"""


@pytest.fixture
def folder(tmp_path):
    for student in ("ada", "bo", "=cy", ".hidden"):
        (tmp_path / "class" / student).mkdir(parents=True)
    for number, text in RIGHT.items():
        written(number, tmp_path / "class" / "ada", text)
    written("1.2", tmp_path / "class" / "bo", "import os\nos.kill(os.getpid(), 9)\n")
    written("4.2", tmp_path / "class" / "bo", RIGHT["4.2"])
    written("9.2", tmp_path / "class" / "bo", "while True:\n    pass\n")
    return tmp_path / "class"


def test_a_class_becomes_a_table(folder, tmp_path, capsys):
    table = tmp_path / "grades.csv"
    command = [
        "grade",
        str(folder),
        "--csv",
        str(table),
        "--only",
        "1.2",
        "4.2",
        "9.2",
        "--seed",
        "5",
        "--seconds",
        "2",
    ]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[:3] == ["=cy: 0 of 6 points", "ada: 6 of 6 points", "bo: 1 of 6 points"]
    rows = list(csv.DictReader(table.open()))
    assert [row["student"] for row in rows] == ["'=cy", "ada", "bo"]
    assert [(row["1.2"], row["4.2"], row["9.2"], row["points"], row["of"]) for row in rows] == [
        ("0", "0", "0", "0", "6"),
        ("1", "1", "4", "6", "6"),
        ("0", "1", "0", "1", "6"),
    ]
    assert "1.2 not run: Python crashed (SIGKILL)" in rows[2]["remarks"]
    assert "9.2 not run: It took longer than 2 seconds" in rows[2]["remarks"] and rows[1]["remarks"] == ""


def test_a_seed_gives_other_data_that_right_answers_pass_and_learned_ones_do_not(tmp_path):
    for student, text in (("heart", BY_HEART), ("right", RIGHT["1.2"])):
        (tmp_path / student).mkdir()
        written("1.2", tmp_path / student, text)
    assert [found[0].right for _, found in grading.grade(tmp_path, ["1.2"])] == [True, True]
    for seed in (1, 2):
        found = dict(grading.grade(tmp_path, ["1.2"], seed=seed))
        assert found["right"][0].right and not found["heart"][0].right


def test_a_folder_without_students_is_explained(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 1
    assert "holds no folders; each student needs one" in capsys.readouterr().err
    assert main(["grade", str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err
