"""The README's animation shows what check_gradients really says, and is the one that the script draws."""

import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from loading import load_script

ROOT = Path(__file__).parents[2]
hero = load_script("figures/hero.py")
FILE = (ROOT / "figures" / "hero.svg").read_text()


def rounded(text):
    """Without the digits of errors that are rounding, which differ from machine to machine."""
    return re.sub(r"\d\.\de-(0[6-9]|1\d)|textLength=\"[\d.]+\"", "tiny", text)


@pytest.mark.parametrize("name", hero.PICTURES)
def test_the_animation_is_that_of_the_code(name):
    drawn, there = hero.picture(hero.PICTURES[name]), (ROOT / "figures" / name).read_text()
    assert rounded(drawn) == rounded(there), "stale: run python figures/hero.py"


def test_it_names_the_layer_and_the_mistake_and_ends_well():
    words = unescape(" ".join(re.findall(r">([^<>]+)</text>", FILE)))
    assert "to blame, wrong by itself: layer 1, MyTanh()" in words
    assert "wrong local derivative: backward takes (1 - the input squared) for it" in words
    assert "FAILED" in words and "passed" in words


def test_it_is_small_and_stands_still_for_whoever_asks():
    assert ElementTree.fromstring(FILE).tag.endswith("svg") and len(FILE) < 40_000
    assert "prefers-reduced-motion" in FILE
    still = [group for group in re.findall(r'<g class="film[^"]*" opacity="(\d)">(.*?)</g>', FILE) if group[0] == "1"]
    assert any("to blame" in group[1] for group in still) and not any("passed" in group[1] for group in still)


def test_long_lines_break_and_keep_their_indent():
    assert hero.broken("    one two three", most=12) == ["    one two", "    three"]
