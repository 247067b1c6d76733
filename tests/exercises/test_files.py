"""The learner's files: started once, never overwritten."""

import pytest
from exercise_answers import ANSWERS, filled

from miniframe import exercises
from miniframe.exercises import files, progress
from miniframe.exercises.exercise import Verdict

exercises.get("1.1")


def test_a_file_is_never_overwritten(tmp_path):
    exercises.start("4.2", tmp_path).write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        exercises.start("4.2", tmp_path)


def test_unknown_numbers_and_missing_files_are_explained(tmp_path):
    with pytest.raises(ValueError, match="no exercise '99.1'; known: 1.1, 1.2"):
        exercises.start("99.1", tmp_path)
    with pytest.raises(ValueError, match="miniframe exercises start 4.2"):
        exercises.check("4.2", tmp_path)


def test_a_file_with_the_number_of_an_older_course_says_its_new_name(tmp_path):
    titles = [exercise.title for exercise in exercises.CATALOGUE.values()]
    assert len(set(titles)) == len(titles)
    old = tmp_path / "exercise_6_1.py"  # convolution was lesson 6 once
    old.write_text(filled("9.1", ANSWERS["9.1"].right).replace("Exercise 9.1", "Exercise 6.1"))
    assert exercises.check("6.1", tmp_path) == (
        "exercise_6_1.py answers what is exercise 9.1 now: rename it to exercise_9_1.py."
    )
    progress.remember([Verdict("6.1", "right")], tmp_path)
    assert progress.state("6.1", tmp_path) == "started"
    old.rename(tmp_path / "exercise_9_1.py")
    assert exercises.check("9.1", tmp_path) is None


def test_two_files_that_were_exchanged_are_both_named(tmp_path):
    exercises.start("1.1", tmp_path).rename(tmp_path / "exercise_1_2.py")
    exercises.start("2.1", tmp_path).write_bytes(b"\xff\xfe")
    found = files.verdicts(["1.2", "2.1"], tmp_path)
    assert [verdict.status for verdict in found] == ["not run", "not run"] and "exercise 1.1 now" in found[0].hint
