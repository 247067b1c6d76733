"""The pictures and the table of docs/architecture.md are those of the code, and every file that a page names exists."""

import inspect
import re
from pathlib import Path

import floors
import flow
import pytest

import miniframe as mf

ROOT = Path(mf.__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tutorials").glob("*.md")]


def test_the_pictures_are_those_of_the_code():
    for script in (floors, flow):
        name = Path(script.__file__).name
        assert script.picture() == script.PICTURE.read_text(), f"stale: run python docs/{name}"


def test_the_table_of_floors_is_that_of_the_code():
    assert floors.renewed(PAGE) == PAGE, "stale: run python docs/floors.py"
    folders = [path.parent.name for path in (ROOT / "miniframe").glob("*/__init__.py")]
    assert sorted(re.findall(r"^\| \w+ \| `(\w+)/` \|", PAGE, re.MULTILINE)) == sorted(folders)


def copy_of_the_package(folder, monkeypatch, file, line):
    """The script looks at a copy of the package's imports, with one more line in one file."""
    for path in floors.PACKAGE.rglob("*.py"):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    changed = folder / "miniframe" / file
    changed.parent.mkdir(exist_ok=True)
    changed.write_text((changed.read_text() if changed.exists() else "") + line)
    monkeypatch.setattr(floors, "PACKAGE", folder / "miniframe")
    monkeypatch.setattr(floors, "ROOT", folder)


def test_a_new_import_makes_the_picture_stale(tmp_path, monkeypatch):
    copy_of_the_package(tmp_path, monkeypatch, "losses/base.py", "\nfrom ..layers import linear\n")
    assert floors.picture() != floors.PICTURE.read_text()
    assert ("losses", "layers") in floors.arrows(floors.imports())


def test_an_import_that_leads_up_is_named(tmp_path, monkeypatch):
    copy_of_the_package(tmp_path, monkeypatch, "losses/base.py", "\nfrom ..training.fit import fit\n")
    with pytest.raises(
        ValueError, match=r"miniframe/losses/base.py, line \d+: imports miniframe.training.fit; floor 5"
    ):
        floors.imports()


def test_a_new_folder_wants_a_floor(tmp_path, monkeypatch):
    copy_of_the_package(tmp_path, monkeypatch, "cellar/__init__.py", "from .. import core\n")
    with pytest.raises(KeyError, match="'cellar' is on none of the floors; give it a place in FLOORS"):
        floors.imports()


def test_a_line_that_is_gone_makes_the_flow_stale():
    gone = flow.Frame(mf.train_step, "train_step", [flow.Line("model.zero_grad()", ""), flow.Line("step.jump()", "")])
    with pytest.raises(ValueError, match=r"train_step has no line 'step.jump\(\)' there any more"):
        flow.checked(gone)
    turned = [flow.Line("optimizer.step()", ""), flow.Line("model.zero_grad()", "")]
    with pytest.raises(ValueError, match="zero_grad"):
        flow.checked(flow.Frame(mf.train_step, "train_step", turned))


def test_the_numbered_lines_are_those_of_train_step():
    """The page says that train_step is lines 1 to 5 and nothing else."""
    *four, update = re.findall(r'Line\("([^"]+)", "[^"]+", [1-5]\)', inspect.getsource(flow))
    assert update == "self.optimizer.apply()"
    body = inspect.getsource(mf.train_step).split('"""')[2].split("\n")
    assert [line.strip() for line in body if line.strip()] == [*four, "optimizer.step()", "return value"]


def test_what_to_open_in_order_is_some_1500_lines():
    part = PAGE[PAGE.index("## What to open, in order") : PAGE.index("A side room")]
    paths = re.findall(r"^\d+\. `([\w/]+\.py)`", part, re.MULTILINE)
    lines = sum(len((ROOT / "miniframe" / path).read_text().splitlines()) for path in paths)
    assert len(paths) == 11 and "Some 1,500 lines" in part and 1450 <= lines < 1650, lines


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_file_that_a_page_names_exists(page):
    """Paths from the top of the repository or of the package."""
    for name in re.findall(r"(?<![\w/.-])((?:\w+/)+\w+\.py)\b", page.read_text()):
        there = (ROOT / name).exists() or (ROOT / "miniframe" / name).exists()
        assert there, f"{page.name}: {name} is missing"
