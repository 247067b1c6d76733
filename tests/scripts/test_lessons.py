"""Every example of every lesson is run, and what it prints is compared with what the lesson shows.

One lesson alone: ``python -m pytest tests/scripts/test_lessons.py -k lesson_04``.
"""

import re

import pytest
from examples import ROOT, parsed, run

LESSONS = sorted((ROOT / "tutorials").glob("lesson_*.md"))

lessons = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


@lessons
def test_examples_print_what_the_lesson_shows(lesson):
    test = parsed(lesson)
    assert test.examples
    runner, report = run(test)
    assert not report, f"\n{report}"
    for example, got in runner.printed:
        for changed in with_a_digit_changed(example.want):
            line = example.lineno + 1
            assert not runner.checker.check_output(changed, got, 0), f"{lesson.name}:{line}: {changed} passes too"


def with_a_digit_changed(text):
    """The text once for every digit in it, with that digit replaced by another."""
    for match in re.finditer(r"\d", text):
        yield text[: match.start()] + str((int(match[0]) + 1) % 10) + text[match.end() :]


def test_a_changed_digit_is_reported_with_file_and_line():
    text = "# A lesson\n\nSome words.\n\n```pycon\n>>> x = 6\n>>> x * 7\n43\n```\n\nMore words.\n"
    path = ROOT / "tutorials" / "lesson_00_example.md"
    runner, report = run(parsed(path, text))
    assert 'File "tutorials/lesson_00_example.md", line 7, in lesson_00_example' in report
    assert "Expected:\n    43\nGot:\n    42" in report
    assert run(parsed(path, text.replace("43", "42")))[1] == ""


@lessons
def test_all_python_in_a_lesson_is_run(lesson):
    for block in re.finditer(r"^```(\w*)\n(.*?)^```", lesson.read_text(), re.MULTILINE | re.DOTALL):
        language, body = block.groups()
        assert language, f"{lesson.name}: a block without a language: {body[:60]!r}"
        assert (language == "pycon") == body.startswith(">>> "), f"{lesson.name}: not run: {body[:60]!r}"


@lessons
def test_decimals_in_the_prose_were_printed_or_computed_there(lesson):
    text = lesson.read_text()
    code = "".join(re.findall(r"^```pycon\n.*?^```", text, re.MULTILINE | re.DOTALL))
    prose = re.sub(r"^```.*?^```|^\$\$.*?^\$\$|\$[^$\n]+\$|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)
    for number in re.findall(r"(?<![\d.])\d+\.\d\d+(?![\d.]|\w)", prose):
        assert number in code, f"{lesson.name}: {number} stands in the prose but in no example"


@lessons
def test_pictures_and_links_exist(lesson):
    for target in re.findall(r"\]\(([^)#\s]+)", lesson.read_text()):
        assert target.startswith("http") or (lesson.parent / target).exists(), f"{lesson.name}: {target} is missing"


def test_every_picture_of_a_lesson_is_drawn_by_code():
    pictures = [path.name for path in (ROOT / "figures").glob("lesson_*")]
    code = "".join(path.read_text() for path in (ROOT / "figures" / "lessons").glob("lesson_*.py"))
    assert len(pictures) >= 13
    assert not [name for name in pictures if f'"{name}"' not in code]


def test_the_overview_lists_every_lesson():
    overview = (ROOT / "tutorials" / "README.md").read_text()
    listed = re.findall(r"^\|.*\((lesson_\w+\.md)\)", overview, re.MULTILINE)  # in the order in which they are read
    assert listed == [path.name for path in LESSONS]
    assert re.findall(r"^\| (\d+) \|", overview, re.MULTILINE) == [str(n + 1) for n in range(len(LESSONS))]


@lessons
def test_a_lesson_needs_only_earlier_ones_and_leads_to_the_next(lesson):
    text, number = lesson.read_text(), LESSONS.index(lesson) + 1
    assert text.startswith(f"# Lesson {number}: ") and lesson.name.startswith(f"lesson_{number:02}_")
    needed = re.search(r"^\*\*You need:\*\*.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert needed, f"{lesson.name}: what does one need to know?"
    assert all(int(other) < number for other in re.findall(r"\(lesson_(\d\d)", needed[0])), needed[0]
    leads = re.findall(r"\((lesson_\w+\.md)", text[text.index("## What to read next") :])
    assert leads[:1] == [path.name for path in LESSONS[number : number + 1]]


@lessons
def test_words_come_before_formulas_and_code(lesson):
    """A section says what it is about first. (The exhibits of the museum are code, and their words stand below.)"""
    for heading, exhibit in re.findall(r"^##+ ((\d+\. )?.*)\n\n(?:\$\$|```pycon)", lesson.read_text(), re.MULTILINE):
        assert exhibit, f"{lesson.name}: {heading!r} begins without a word"


@lessons
def test_a_link_to_a_lesson_says_its_number(lesson):
    for words, target in re.findall(r"\[[Ll]esson\s+(\d+)\]\(lesson_(\d\d)", lesson.read_text()):
        assert int(words) == int(target), f"{lesson.name}: lesson {words} leads to lesson {target}"


@lessons
def test_a_lesson_has_its_parts_in_order(lesson):
    text = lesson.read_text()
    parts = ["## What you will be able to do", "## Exercises", "## What to read next"]
    places = [text.find(part) for part in parts]
    assert -1 < places[0] < places[1] < places[2], f"{lesson.name}: expected {parts}"
    exercises = re.findall(r"^\*\*(\d+\.\d+)", text[places[1] : places[2]], re.MULTILINE)
    number = int(lesson.stem.split("_")[1])
    assert exercises[:3] == [f"{number}.{i}" for i in (1, 2, 3)], f"{lesson.name}: exercises {exercises}"
    assert "$$" in text and "![" in text, f"{lesson.name}: no formula or no picture"


@lessons
def test_formulas_survive_markdown(lesson):
    """A line of a formula that starts like a list or a heading becomes one on some code hosts."""
    for formula in re.findall(r"^\$\$\n(.*?)^\$\$", lesson.read_text(), re.MULTILINE | re.DOTALL):
        assert not re.search(r"^\s*([-+*>#=] |\d+\. )", formula, re.MULTILINE), f"{lesson.name}: {formula}"
