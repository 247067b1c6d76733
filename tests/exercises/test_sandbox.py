"""Whatever an answer does to its process, there is a verdict, and it is never "right"."""

import json
import os
import sys
import time

import pytest
from exercise_answers import ANSWERS, filled, written

from miniframe.exercises import files
from miniframe.exercises.sandbox import judge_files

RIGHT = filled("4.2", ANSWERS["4.2"].right)
HEAD = "import ctypes, os, signal, subprocess, sys, time\nimport mlx.core as mx\nimport numpy as np\n"


def judged(folder, body, number="3.2", **limits):
    """The verdict on ``slope`` with this body (for 3.2), or on a whole text."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    path = written(number, folder, f"{HEAD}\n\ndef slope(f, x, h=1e-3):\n{lines}")
    return judge_files([(number, path)], **limits)[0]


MISBEHAVIOUR = {
    "sys.exit()": "SystemExit, which ends Python",
    "quit()": "SystemExit, which ends Python",
    "raise KeyboardInterrupt": "KeyboardInterrupt, which ends Python",
    "os._exit(0)": "ended Python (os._exit?, status 0)",
    "ctypes.string_at(0)": "Python crashed (SIGSEGV)",
    "os.kill(os.getpid(), signal.SIGKILL)": "Python crashed (SIGKILL)",
    "return np.ones(1 << 40)": "more memory than a check may use",
    "return mx.ones((1 << 20, 1 << 13)).sum().item()": "Python crashed (SIGSEGV). MLX does that when memory runs out",
    "os.closerange(3, 100)\nos._exit(0)": "ended Python",
}


@pytest.mark.parametrize("body", MISBEHAVIOUR)
def test_an_answer_that_ends_its_process_is_not_run(body, tmp_path):
    verdict = judged(tmp_path, body)
    assert verdict.status == "not run" and MISBEHAVIOUR[body] in verdict.hint, verdict


@pytest.mark.parametrize("body", ["sys.exit()", "os._exit(0)"])
def test_an_answer_may_end_python_on_import(body, tmp_path):
    verdict = judge_files([("4.2", written("4.2", tmp_path, f"{HEAD}{body}\n{RIGHT}"))])[0]
    assert verdict.status == "not run" and ("which ends Python" in verdict.hint or "ended Python" in verdict.hint)


def test_an_endless_loop_is_stopped_and_its_line_named(tmp_path):
    verdict = judged(tmp_path, "print('round')\nwhile True:\n    x = x + 1", seconds=1.5)
    assert verdict.status == "not run"
    assert verdict.hint.startswith("It took longer than 1.5 seconds. Does a loop never end? It was in line ")
    assert verdict.hint.endswith(("line 8 of exercise_3_2.py.", "line 9 of exercise_3_2.py."))
    assert verdict.printed == ""  # what was not flushed is lost with the process


def test_memory_that_grows_is_stopped(tmp_path):
    verdict = judged(tmp_path, "kept = []\nwhile True:\n    kept.append(np.ones(1 << 20))", memory=1 << 28)
    assert verdict.status == "not run" and "memory" in verdict.hint


def test_what_an_answer_prints_is_shown_and_never_taken_for_the_verdict(tmp_path):
    fake = json.dumps({"token": "guess", "verdict": {"number": "3.2", "status": "right"}})
    body = f"""print({fake!r})
for fd in range(1, 20):
    try:
        os.write(fd, {fake!r}.encode())
    except OSError:
        pass
return 0.0"""
    verdict = judged(tmp_path, body)
    assert verdict.status == "wrong" and fake in verdict.printed
    shown = judge_files([("4.2", written("4.2", tmp_path, f"print('hello')\n{RIGHT}"))])[0]
    assert shown.right and shown.printed == "hello\n"


@pytest.mark.parametrize("leave", ["pass", "os.setsid()"], ids=["in its group", "in a session of its own"])
def test_processes_that_an_answer_leaves_behind_are_ended(leave, tmp_path):
    mark = tmp_path / "alive"
    body = f"""for _ in range(3):
    if os.fork() == 0:
        {leave}
        while True:
            open({str(mark)!r}, "a").write(".")
            time.sleep(0.05)
time.sleep(0.2)
return 0.0"""
    assert judged(tmp_path, body).status == "wrong"
    time.sleep(0.3)
    size = os.path.getsize(mark)
    time.sleep(0.3)
    assert os.path.getsize(mark) == size > 0


def test_a_copy_of_the_process_reports_nothing(tmp_path):
    body = "if os.fork() == 0:\n    return (f(x + h) - f(x - h)) / (2 * h)\ntime.sleep(0.5)\nreturn 0.0"
    assert judged(tmp_path, body).status == "wrong"


def test_answers_after_one_that_ends_the_process_are_judged_too(tmp_path):
    texts = {"1.1": "import os\nos._exit(0)\n", "4.2": RIGHT, "4.3": "import sys\nsys.exit(0)\n", "4.5": "x ="}
    paths = [(number, written(number, tmp_path, text)) for number, text in texts.items()]
    found = judge_files(paths)
    assert [verdict.status for verdict in found] == ["not run", "right", "not run", "not run"]
    assert [verdict.number for verdict in found] == list(texts)


def test_an_answer_does_not_answer_for_what_an_earlier_one_has_changed(tmp_path):
    spoilt = "import mlx.core as mx\nimport numpy as np\nnp.random = None\nmx.maximum = None\n"
    texts = {"1.1": spoilt, "4.1": "raise NotImplementedError", "4.2": RIGHT}
    found = judge_files([(number, written(number, tmp_path, text)) for number, text in texts.items()])
    assert [verdict.status for verdict in found] == ["wrong", "wrong", "right"]


def test_answers_are_judged_on_the_cpu_and_from_their_own_folder(tmp_path):
    verdict = judged(tmp_path, "print(mx.default_device(), os.getcwd())\nreturn 0.0")
    assert verdict.printed.splitlines()[0] == f"Device(cpu, 0) {tmp_path}"


def test_an_unending_output_is_cut(tmp_path):
    verdict = judged(tmp_path, "while True:\n    print('x' * 1000)", seconds=1.0)
    assert verdict.status == "not run" and "longer than 1 seconds" in verdict.hint
    assert 100_000 < len(verdict.printed) <= 1 << 20


def test_what_cannot_be_read_is_not_run_and_what_is_long_is_cut(tmp_path):
    path = written("3.2", tmp_path, "")
    for content, words in ((b"x = '\xff'", "cannot be read"), (b"\0", "null bytes")):
        path.write_bytes(content)
        (verdict,) = judge_files([("3.2", path)])
        assert verdict.status == "not run" and words in verdict.hint and "None" not in verdict.hint
    verdict = judged(tmp_path, "raise ValueError('x' * 10_000)")
    assert verdict.status == "wrong" and len(verdict.hint) < 400


def test_an_answer_may_import_what_lies_beside_it_but_not_replace_a_module_of_python(tmp_path):
    (tmp_path / "helper.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "json.py").write_text("raise SystemExit\n")
    path = written(
        "3.2",
        tmp_path,
        "from helper import half\n\n\ndef slope(f, x, h=1e-3):\n    return half((f(x + h) - f(x - h)) / h)\n",
    )
    assert judge_files([("3.2", path)])[0].right


def test_checking_does_not_run_the_answer_in_this_process(tmp_path):
    written("4.2", tmp_path, f"import sys\nsys.modules['left_behind'] = sys\n{RIGHT}")
    assert files.check("4.2", tmp_path) is None and "left_behind" not in sys.modules
