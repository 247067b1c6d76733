"""The pages in docs/: examples run, links lead somewhere."""

import re
from pathlib import Path

import pytest
from examples import parsed, run

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_examples_print_what_the_page_shows(page):
    _, report = run(parsed(page))
    assert not report, f"\n{report}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target} is missing"
