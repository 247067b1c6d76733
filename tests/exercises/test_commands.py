"""The exercises on the command line."""

import json

from exercise_answers import ANSWERS, filled, written

from miniframe import exercises
from miniframe.cli import main
from miniframe.exercises.progress import FILE

COUNT, POINTS = len(exercises.CATALOGUE), sum(e.points for e in exercises.CATALOGUE.values())
RIGHT = {number: filled(number, ANSWERS[number].right) for number in ("4.2", "4.3", "9.2")}
ENDS = "import os\nprint('bye', flush=True)\nos._exit(0)\n"


def test_the_command_line_lists_starts_and_checks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["exercises"]) == 0
    assert "4.2   Write this backward: ReLU\n" in capsys.readouterr().out
    assert main(["exercises", "start", "4.2"]) == 0
    assert "exercise_4_2.py" in capsys.readouterr().out
    assert main(["check", "4.2"]) == 1
    assert "Not written yet" in capsys.readouterr().out
    assert main(["exercises"]) == 0
    assert "ReLU (started)" in capsys.readouterr().out
    written("4.2", tmp_path, "print('hello')\n" + RIGHT["4.2"])
    assert main(["check", "4.2"]) == 0
    assert capsys.readouterr().out == "4.2 printed:\n  hello\n4.2 is right.\n"
    assert main(["exercises"]) == 0
    out = capsys.readouterr().out
    assert "ReLU (solved)" in out and f"1 solved, 0 started, {COUNT - 1} open: 1 of {POINTS} points." in out


def test_a_reset_keeps_the_old_files_and_begins_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = written("4.2", tmp_path, RIGHT["4.2"])
    assert main(["check", "4.2"]) == 0
    assert main(["exercises", "start", "4.2"]) == 1
    assert "start 4.2 --reset" in capsys.readouterr().err
    assert main(["exercises", "start", "4.2", "--reset"]) == 0
    assert (tmp_path / "exercise_4_2.py.bak").read_text() == RIGHT["4.2"]
    assert path.read_text() == exercises.get("4.2").stub
    main(["exercises"])
    assert "ReLU (started)" in capsys.readouterr().out
    path.write_text("second")
    assert main(["exercises", "start", "4.2", "--reset"]) == 0
    assert (tmp_path / "exercise_4_2.py.bak2").read_text() == "second"
    assert (tmp_path / "exercise_4_2.py.bak").read_text() == RIGHT["4.2"]


def test_the_exit_status_says_right_wrong_or_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written("4.2", tmp_path, ENDS)
    assert main(["check", "4.2"]) == 2
    out = capsys.readouterr().out
    assert "4.2 printed:\n  bye" in out and "4.2 could not be judged. Your answer ended Python" in out
    assert main(["check", "4.3"]) == 2
    assert "miniframe exercises start 4.3" in capsys.readouterr().err
    written("3.2", tmp_path, "while True:\n    pass\n")
    assert main(["check", "3.2", "--seconds", "1"]) == 2
    assert "longer than 1 seconds" in capsys.readouterr().out
    assert main(["check"]) == 1 and main(["check", "4.2", "--all"]) == 1


def test_all_are_checked_as_json_with_points(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, text in RIGHT.items():
        written(number, tmp_path, text)
    written("4.3", tmp_path, ENDS)
    assert main(["check", "--all", "--json", "--gradescope", "results.json"]) == 2
    found = json.loads(capsys.readouterr().out)
    rows = {row["number"]: row for row in found["exercises"]}
    assert list(rows) == list(exercises.CATALOGUE) and (found["points"], found["of"]) == (5, POINTS)
    assert [rows[n]["status"] for n in ("4.1", "4.2", "4.3", "9.2")] == ["missing", "right", "not run", "right"]
    assert (rows["9.2"]["points"], rows["9.2"]["of"], rows["4.3"]["points"]) == (4, 4, 0)
    results = json.loads((tmp_path / "results.json").read_text())
    tests = {test["number"]: test for test in results["tests"]}
    assert results["score"] == 5.0 and len(tests) == COUNT
    assert (tests["9.2"]["score"], tests["9.2"]["max_score"], tests["9.2"]["status"]) == (4.0, 4.0, "passed")
    assert tests["4.3"]["status"] == "failed" and "ended Python" in tests["4.3"]["output"]
    assert main(["check", "--all"]) == 2
    assert capsys.readouterr().out.endswith(f"2 of {COUNT} right: 5 of {POINTS} points.\n")


def test_a_damaged_memory_of_verdicts_is_as_good_as_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FILE).write_text("{half")
    written("4.2", tmp_path, RIGHT["4.2"])
    assert main(["exercises"]) == 0
    assert "ReLU (started)" in capsys.readouterr().out
    assert main(["check", "4.2"]) == 0 and json.loads((tmp_path / FILE).read_text()) == {"4.2": "right"}
