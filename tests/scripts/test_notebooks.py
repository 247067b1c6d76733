"""The lessons as notebooks: every line of code is there, in order, and nothing else."""

import ast
import doctest
import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nbformat", reason="make notebooks installs nbformat")

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("make_notebooks", ROOT / "tutorials" / "make_notebooks.py")
make_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_notebooks)


@pytest.mark.parametrize("lesson", sorted((ROOT / "tutorials").glob("lesson_*.md")), ids=lambda path: path.stem)
def test_a_notebook_holds_the_code_of_its_lesson(lesson):
    text = lesson.read_text()
    book = make_notebooks.notebook(text)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
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


@pytest.mark.slow
def test_a_notebook_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("nbclient")
    book = make_notebooks.notebook((ROOT / "tutorials" / "lesson_05_the_disk.md").read_text())
    make_notebooks.run(book, tmp_path)
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code")
