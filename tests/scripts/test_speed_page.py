"""The page about speed and memory shows what was measured."""

from loading import ROOT, load_script

PAGE = (ROOT / "docs" / "speed.md").read_text()


def test_the_tables_are_those_that_were_measured():
    script = load_script("benchmarks/speed_page.py")
    assert script.filled(PAGE) == PAGE


def test_a_table_has_all_rows_and_three_systems():
    script = load_script("benchmarks/speed_page.py")
    rows = load_script("benchmarks/steps.py").ROWS
    assert all(f"| {row} |" in script.steps() and f"| {row} |" in script.profiles() for row in rows)
    assert "nan" not in script.filled(PAGE)
