"""Turns the lessons into Jupyter notebooks: ``python tutorials/make_notebooks.py`` writes notebooks/*.ipynb.

Prose becomes markdown cells. The examples become code cells without prompts, cut behind each line that prints
something, so that every output appears where the lesson shows it. All notebooks are run from top to bottom, so they
arrive with their outputs; ``--no-run`` leaves them empty, and numbers (``3 6``) choose some of the lessons.
"""

import argparse
import doctest
import os
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```pycon\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


def code_cells(block: str) -> list:
    """The examples of one block as cells; an example that shows an error may raise it."""
    cells, lines = [], []
    for example in doctest.DocTestParser().get_examples(block):
        lines.append(example.source.rstrip("\n"))
        if example.want:
            cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
            if example.exc_msg is not None:
                cells[-1].metadata["tags"] = ["raises-exception"]
            lines = []
    if lines:
        cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
    return cells


def notebook(text: str):
    """A lesson's text as a notebook."""
    cells, start = [], 0
    for block in BLOCK.finditer(text):
        cells.append(nbformat.v4.new_markdown_cell(linked(text[start : block.start()])))
        cells += code_cells(block[1])
        start = block.end()
    cells.append(nbformat.v4.new_markdown_cell(linked(text[start:])))
    kept = [cell for cell in cells if cell.source.strip()]
    for number, cell in enumerate(kept):
        cell.source = cell.source.strip("\n")
        cell["id"] = f"cell-{number}"
    return nbformat.v4.new_notebook(cells=kept, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def linked(prose: str) -> str:
    """The prose, with links between lessons leading to notebooks."""
    return re.sub(r"\]\((lesson_\w+)\.md\)", r"](\1.ipynb)", prose)


def run(book, folder: Path) -> None:
    """Execute a notebook in place."""
    from nbclient import NotebookClient

    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=int, help="numbers; all by default")
    parser.add_argument("--no-run", action="store_true", help="leave the outputs empty")
    options = parser.parse_args()
    folder = ROOT / "notebooks"
    folder.mkdir(exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    for lesson in sorted((ROOT / "tutorials").glob("lesson_*.md")):
        if options.lessons and int(lesson.stem.split("_")[1]) not in options.lessons:
            continue
        book = notebook(lesson.read_text())
        if not options.no_run:
            run(book, folder)
        path = folder / f"{lesson.stem}.ipynb"
        nbformat.write(book, path)
        print(path)


if __name__ == "__main__":
    main()
