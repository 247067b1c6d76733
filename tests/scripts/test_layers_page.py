"""The table of all layers lists what there is, in today's words, with errors that are not larger than it says."""

import re
from pathlib import Path

import layers
import pytest
from catalogue import CASES

PAGE = (Path(__file__).parents[2] / "docs" / "layers.md").read_text()
ROWS = {row.split(" | ")[0].strip("| "): row for row in PAGE.splitlines() if row.startswith("| ")}
HIGH = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def test_every_layer_and_loss_has_its_row():
    assert list(ROWS)[1:] == sorted(CASES, key=str.lower)
    assert PAGE.startswith(layers.HEAD)


@pytest.mark.parametrize("name", CASES)
def test_the_row_says_what_is(name):
    row = ROWS[name]
    assert row.startswith(f"| {name} | {layers.words(name)} | {layers.function(name)} | ")
    stated = [10.0 ** -int(power.translate(HIGH)) for power in re.findall(r"< 10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", row)]
    for limit, error in zip(stated, layers.errors(name).values(), strict=True):
        assert error < 30 * limit  # another machine may round otherwise
