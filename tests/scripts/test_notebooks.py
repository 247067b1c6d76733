"""The lessons as notebooks: every line of code is there, in order, and each exercise has cells for its answer."""

import ast
import doctest
import re
from pathlib import Path

import pytest
from loading import load_script

pytest.importorskip("nbformat", reason="make notebooks installs nbformat")

ROOT = Path(__file__).parents[2]
make_notebooks = load_script("tutorials/make_notebooks.py")


@pytest.mark.parametrize("lesson", sorted((ROOT / "tutorials").glob("lesson_*.md")), ids=lambda path: path.stem)
def test_a_notebook_holds_the_code_of_its_lesson(lesson):
    text = lesson.read_text()
    book = make_notebooks.notebook(text)
    lesson_cells = [cell for cell in book.cells if "exercise" not in cell.metadata.get("tags", [])]
    code = "\n".join(cell.source for cell in lesson_cells if cell.cell_type == "code")
    blocks = "\n".join(make_notebooks.BLOCK.findall(text))
    examples = doctest.DocTestParser().get_examples(blocks)
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse("".join(example.source for example in examples)))
    prose = [cell.source for cell in book.cells if cell.cell_type == "markdown"]
    assert prose[0].startswith("# Lesson") and not any(">>>" in part for part in prose)


def test_a_cell_ends_where_something_is_printed():
    error = "Traceback (most recent call last):\n    ...\nZeroDivisionError: division by zero"
    book = make_notebooks.notebook(f"# A\n\n```pycon\n>>> x = 1\n>>> x\n1\n>>> 1 / 0\n{error}\n```\n\nB\n")
    assert [cell.source for cell in book.cells] == ["# A", "x = 1\nx", "1 / 0", "B"]
    assert book.cells[2].metadata["tags"] == ["raises-exception"]


def test_exercises_are_answered_where_they_are_set():
    exercises = "## Exercises\n\nAll of them:\n\n**3.1** A quotient.\n\n**99.9** On paper."
    text = f"# Lesson\n\n{exercises}\n\n## What to read next\n\nB.\n"
    heading, quotient, stub, check, paper, answer, last = [cell.source for cell in make_notebooks.notebook(text).cells]
    assert heading.endswith("All of them:") and quotient == "**3.1** A quotient." and paper == "**99.9** On paper."
    assert stub == "%%writefile exercise_3_1.py\n" + make_notebooks.CATALOGUE["3.1"].stub.strip("\n")
    assert check.endswith("-m miniframe check 3.1") and answer == "*Your answer to 99.9:*"
    assert last == "## What to read next\n\nB."


def test_every_exercise_of_the_machine_has_its_cells():
    for number in make_notebooks.CATALOGUE:
        lesson = next((ROOT / "tutorials").glob(f"lesson_{int(number.split('.')[0]):02}_*.md"))
        cells = make_notebooks.notebook(lesson.read_text()).cells
        assert any(cell.source.endswith(f"miniframe check {number}") for cell in cells), number


def test_a_written_cell_is_checked_as_the_command_does(tmp_path, monkeypatch):
    """What %%writefile and the shell line do, done by hand."""
    from miniframe.exercises import check

    monkeypatch.chdir(tmp_path)
    text = (ROOT / "tutorials" / "lesson_04_layers_by_hand.md").read_text()
    cell = next(c.source for c in make_notebooks.notebook(text).cells if "exercise_4_2.py" in c.source)
    first, _, stub = cell.partition("\n")
    answer = stub.replace('raise NotImplementedError("your turn")', "return grad_output * (x > 0)")
    Path(first.split()[1]).write_text(answer)
    assert check("4.2") is None


def test_pictures_travel_with_the_notebook():
    for lesson in (ROOT / "tutorials").glob("lesson_*.md"):
        for cell in make_notebooks.notebook(lesson.read_text()).cells:
            assert "../figures/" not in cell.source
            shown = set(re.findall(r"\(attachment:([^)]+)\)", cell.source))
            assert set(cell.get("attachments", {})) == shown


def test_links_lead_to_notebooks_or_back_to_the_lessons_folder():
    links = {
        "lesson_02_one_neuron.md#x": "lesson_02_one_neuron.ipynb#x",
        "running_on_many_machines.md": "../tutorials/running_on_many_machines.md",
        "../docs/layers.md": "../docs/layers.md",
    }
    for link, expected in links.items():
        assert make_notebooks.linked(f"[a]({link})") == f"[a]({expected})"


@pytest.mark.slow
def test_a_notebook_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("nbclient")
    book = make_notebooks.notebook((ROOT / "tutorials" / "lesson_05_the_disk.md").read_text())
    make_notebooks.run(book, tmp_path)
    tags = {cell["id"]: cell.metadata.get("tags", []) for cell in book.cells}
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code if "exercise" not in tags[cell["id"]])
    assert not list(tmp_path.glob("exercise_*"))
