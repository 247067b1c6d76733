"""The exercises on the command line."""

import re
import textwrap

from exercise_answers import ANSWERS

from miniframe import exercises
from miniframe.cli import main

exercises.get("1.1")


BLANK = re.compile(r"^( *)raise NotImplementedError.*$|^OR = .*\nNAND = .*$", re.MULTILINE)


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
