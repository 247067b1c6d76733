"""The learner's files: started once, never overwritten."""

import pytest

from miniframe import exercises

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
