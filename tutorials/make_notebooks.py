"""Turns the lessons into Jupyter notebooks: ``python tutorials/make_notebooks.py`` writes notebooks/*.ipynb.

Prose becomes markdown cells, with its pictures inside, so that a notebook can be handed out alone. The examples become
code cells without prompts, cut behind each line that prints something, so that every output appears where the lesson
shows it. Under each exercise there is a cell to write the answer in and one that checks it. All notebooks are run from
top to bottom, but for the exercises, so they arrive with their outputs; ``--no-run`` leaves them empty, ``--keep``
leaves those alone that are there already, and numbers (``3 6``) choose some of the lessons.
"""

import argparse
import base64
import doctest
import mimetypes
import os
import re
from pathlib import Path

import nbformat

from miniframe.exercises import CATALOGUE

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```pycon\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)
EXERCISE = re.compile(r"^(?=\*\*\d+\.\d+)", re.MULTILINE)  # where the words of an exercise begin
PICTURE = re.compile(r"!\[([^\]]*)\]\((\.\./figures/[^)\s]+)\)")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
TAGS = ["exercise", "skip-execution"]


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
        cells += prose_cells(text[start : block.start()])
        cells += code_cells(block[1])
        start = block.end()
    cells += prose_cells(text[start:])
    kept = [cell for cell in cells if cell.source.strip()]
    for number, cell in enumerate(kept):
        cell.source = cell.source.strip("\n")
        cell["id"] = f"cell-{number}"
    return nbformat.v4.new_notebook(cells=kept, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def prose_cells(prose: str) -> list:
    """Prose as cells; each exercise is followed by the cells for its answer."""
    cells = []
    for part in EXERCISE.split(prose):
        words, heading, rest = part.partition("\n## ") if part.startswith("**") else (part, "", "")
        cells.append(markdown_cell(words))
        if part.startswith("**"):
            cells += answer_cells(re.match(r"\*\*(\d+\.\d+)", part)[1])
        cells.append(markdown_cell(heading + rest))
    return cells


def answer_cells(number: str) -> list:
    """Where an exercise is answered: its stub with the check below, or, for one on paper, room for words."""
    if number not in CATALOGUE:
        return [nbformat.v4.new_markdown_cell(f"*Your answer to {number}:*", metadata={"tags": TAGS})]
    stub = f"%%writefile exercise_{number.replace('.', '_')}.py\n{CATALOGUE[number].stub}"
    check = f"import sys\n\n!{{sys.executable}} -m miniframe check {number}"
    return [nbformat.v4.new_code_cell(source, metadata={"tags": TAGS}) for source in (stub, check)]


def markdown_cell(prose: str):
    """Prose with its pictures inside the cell, and with links that lead from the notebooks' folder."""
    attachments = {}

    def inside(match: re.Match) -> str:
        path = ROOT / "tutorials" / match[2]
        kind = mimetypes.guess_type(path.name)[0] or "image/png"
        attachments[path.name] = {kind: base64.b64encode(path.read_bytes()).decode()}
        return f"![{match[1]}](attachment:{path.name})"

    cell = nbformat.v4.new_markdown_cell(PICTURE.sub(inside, linked(prose)))
    if attachments:
        cell["attachments"] = attachments
    return cell


def linked(prose: str) -> str:
    """The prose, with links between lessons leading to notebooks."""
    prose = re.sub(r"\]\((lesson_\w+)\.md", r"](\1.ipynb", prose)
    return re.sub(r"\]\((\w+\.md)", r"](../tutorials/\1", prose)


def run(book, folder: Path) -> None:
    """Execute a notebook in place; exercises are left to the reader."""
    from nbclient import NotebookClient

    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.skip_cells_with_tag = TAGS[1]
    client.execute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=int, help="numbers; all by default")
    parser.add_argument("--no-run", action="store_true", help="leave the outputs empty")
    parser.add_argument("--keep", action="store_true", help="leave notebooks alone that are there already")
    options = parser.parse_args()
    folder = ROOT / "notebooks"
    folder.mkdir(exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    for lesson in sorted((ROOT / "tutorials").glob("lesson_*.md")):
        if options.lessons and int(lesson.stem.split("_")[1]) not in options.lessons:
            continue
        path = folder / f"{lesson.stem}.ipynb"
        if path.exists() and options.keep:
            continue
        book = notebook(lesson.read_text())
        if not options.no_run:
            run(book, folder)
        if path.exists():  # somebody may have written answers into it
            path.rename(path.with_suffix(".ipynb.bak"))
        nbformat.write(book, path)
        print(path)


if __name__ == "__main__":
    main()
