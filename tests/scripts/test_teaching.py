"""The plan for teachers is that of the lessons: every lesson once, points that add up, commands that exist."""

import re
from pathlib import Path

import plan
import pytest

from miniframe import cli
from miniframe.exercises import CATALOGUE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "teaching.md").read_text()
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "tutorials").glob("*.md")]
PAGES += [ROOT / "docs" / "website" / "home.md"]


def test_the_weeks_are_those_of_the_lessons():
    assert plan.renewed(PAGE) == PAGE, "stale: run python docs/plan.py"
    assert len(plan.WEEKS) == 10 and all(plan.lessons_of(words) for words, _ in plan.WEEKS)


def test_every_lesson_stands_there_once_and_all_exercises_count():
    listed = re.findall(r"\(\.\./tutorials/(lesson_\w+\.md)\)", plan.table())
    assert sorted(listed) == [path.name for path in plan.lessons()]
    machine = [number for path in plan.lessons() for number in plan.exercises(path)[0]]
    assert sorted(machine) == sorted(CATALOGUE)


def test_every_exercise_on_paper_has_an_answer_for_teachers():
    answers = (ROOT / "docs" / "answers_for_teachers.md").read_text()
    paper = [number for path in plan.lessons() for number in plan.exercises(path)[1]]
    assert len(paper) > 30
    for number in paper:
        section = answers.partition(f"\n## Lesson {number.split('.')[0]}\n")[2].partition("\n## ")[0]
        assert f"**{number}** " in section, f"no answer to {number} in docs/answers_for_teachers.md"


def test_points_add_up():
    weeks = [int(cells.split("|")[4]) for cells in plan.table().splitlines()[2:12]]
    total = r"(\d+) points for.*?(\d+) for the project, (\d+) for.*?: (\d+) in all"
    exercises, project, talk, whole = map(int, re.search(total, plan.table(), re.DOTALL).groups())
    assert sum(weeks) == exercises and exercises + project + talk == whole
    rubric = PAGE[PAGE.index("## Projects") : PAGE.index("### 1.")]
    assert sum(map(int, re.findall(r"\*\* \((\d+)\)", rubric))) == project


def test_there_are_five_projects_with_what_is_asked():
    briefs = re.split(r"^### \d\. ", PAGE, flags=re.MULTILINE)[1:]
    assert len(briefs) == 5
    assert all("*At least:*" in brief and "*Beware:*" in brief and "*For more:*" in brief for brief in briefs)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_that_a_page_names_exist(page):
    """``make TARGET`` and ``miniframe COMMAND``, in code."""
    text = page.read_text()
    found = re.findall(r"^```shell\n(.*?)^```|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL)
    code = "\n".join(block or inline for block, inline in found)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"^\s*make ([\w-]+)", code, re.MULTILINE):
        assert target in targets, f"make {target}"
    for command in set(re.findall(r"^(?:\.venv/bin/)?miniframe ([a-z]\w*)", code, re.MULTILINE)):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0, f"miniframe {command}"
