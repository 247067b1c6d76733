"""The pages in docs/: examples run, the class diagram is that of the code, links lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest
from test_lessons import parsed, run

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_examples_print_what_the_page_shows(page):
    _, report = run(parsed(page))
    assert not report, f"\n{report}"


def test_the_class_diagram_is_that_of_the_code():
    page = (DOCS / "architecture.md").read_text()
    assert page == script("diagram").renewed(page), "stale: run python docs/diagram.py"


def test_a_changed_class_makes_the_diagram_stale(monkeypatch):
    diagram = script("diagram")
    page = (DOCS / "architecture.md").read_text()
    monkeypatch.setattr(diagram.mf.History, "another", lambda self: None, raising=False)
    assert page != diagram.renewed(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target} is missing"
