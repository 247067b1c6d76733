"""The site: formulas, diagrams and pictures; every public name in the index; and the pages as they are built."""

import html
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from examples import parsed, run
from loading import load_script
from PIL import Image
from website import crosslinks, diagrams, names, pictures, search

import miniframe as mf

ROOT = Path(__file__).parents[2]
MATHML = "{http://www.w3.org/1998/Math/MathML}"

# -------------------------------------------------------------------- formulas


@pytest.fixture
def formulas():
    for needed in ("latex2mathml", "fontTools", "ziamath"):
        pytest.importorskip(needed, reason="make docs installs it")
    from website import formulas

    return formulas


def test_formulas_become_mathml_and_code_and_prices_stay(formulas):
    text = "From $x$ to\n\n$$\ny = x^2\n$$\n\n`$x$` costs $5 or $6.\n\n```\n$x$\n```\n"
    page = formulas.with_formulas(text)
    assert page.count("<math") == 2 and 'display="block"' in page
    assert "`$x$` costs $5 or $6." in page and "```\n$x$\n```" in page


def test_a_formula_may_go_on_in_the_next_line_of_its_paragraph(formulas):
    page = formulas.with_formulas("use $\\max(a, b) = b +\n\\mathrm{ReLU}(a - b)$, but $no\n\nparagraph$")
    assert page.count("<math") == 1 and "$no\n\nparagraph$" in page


def test_a_row_of_formulas_comes_apart_where_it_may(formulas):
    assert formulas.row(r"a = b, \qquad c = d") == ["a = b,", "c = d"]
    assert formulas.row(r"\begin{cases} 1 \qquad 2 \end{cases}") == [r"\begin{cases} 1 \qquad 2 \end{cases}"]
    assert formulas.row(r"\underbrace{a \qquad b}_{c} \qquad\qquad d") == [r"\underbrace{a \qquad b}_{c}", "d"]


def test_functions_stand_apart_from_what_they_are_applied_to(formulas):
    spaces = [formulas.mathml(text).count("mspace") for text in (r"\tanh x", r"\tanh^2 x", r"\tanh(x)", "ab")]
    assert spaces == [1, 1, 0, 0]


def test_the_font_has_what_the_pages_need_and_can_stretch(formulas, tmp_path):
    pytest.importorskip("brotli")
    from fontTools.ttLib import TTFont

    path = tmp_path / "math.woff2"
    path.write_bytes(formulas.math_font("∑x"))
    font = TTFont(path)
    assert {ord("∑"), 0x1D465} <= set(font.getBestCmap()) and ord("∮") not in font.getBestCmap()
    assert "MATH" in font and path.stat().st_size < 120_000


# -------------------------------------------------------------------- diagrams and pictures


def test_a_diagram_is_read_as_draw_wrote_it():
    x, y = mf.Variable(2.0, name="x"), mf.Variable(-1.0, name='"y"')
    z = (x + y) * 3
    z.backward()
    assert diagrams.read(mf.draw(z)).mermaid() == mf.draw(z)
    model = mf.Sequential(mf.Linear(2, 3), mf.ReLU())
    assert diagrams.read(mf.draw(model)).mermaid() == mf.draw(model)
    assert ElementTree.fromstring(diagrams.svg(mf.draw(z))).tag.endswith("svg")


def test_a_diagram_in_other_words_is_an_error():
    with pytest.raises(ValueError, match="as draw prints it, got 'sequenceDiagram'"):
        diagrams.svg("sequenceDiagram\n    A->>B: hello")


def test_every_diagram_of_the_pages_can_be_drawn():
    pages = [*(ROOT / "tutorials").glob("*.md"), *(ROOT / "docs").glob("*.md")]
    found = [text for page in pages for text in diagrams.FENCE.findall(page.read_text())]
    assert found and all(diagrams.svg(text) for text in found)


def test_the_dark_page_turns_light_round_and_keeps_hues():
    white, black, red = np.eye(3)[0] * 0 + 1, np.zeros(3), np.array([0.9, 0.1, 0.1])
    np.testing.assert_allclose(pictures.turned(white), pictures.PAPER)
    np.testing.assert_allclose(pictures.turned(black), pictures.INK)
    dark = pictures.turned(red)
    assert dark.argmax() == 0 and dark[0] - dark[1] > 0.6


def test_curves_get_a_dark_version_and_photographs_do_not(tmp_path):
    curve, photo = np.full((50, 80, 3), 255, np.uint8), np.full((50, 80, 3), 120, np.uint8)
    curve[20:22] = (200, 30, 30)
    for name, pixels in (("curve.png", curve), ("photo.png", photo)):
        Image.fromarray(pixels).save(tmp_path / name)
    assert pictures.darken(tmp_path / "photo.png") is None
    dark = np.asarray(Image.open(pictures.darken(tmp_path / "curve.png")))
    assert dark[0, 0].max() < 50 and dark[20, 0].argmax() == 0
    page = pictures.with_pictures("![A curve](curve.png) ![A photo](photo.png)", tmp_path)
    assert 'src="curve.dark.png"' in page and page.count("by-night") == 1 and 'class="picture card"' in page


# -------------------------------------------------------------------- the index


def test_every_public_name_is_in_the_index():
    listed = {name.written for name in names.all_names()}
    assert {"mf.Linear", "model.fit", "model.save", "mf.schedules.cosine", "mf.functional.relu"} <= listed
    for name in mf.__all__:
        thing = getattr(mf, name)
        if callable(thing):
            assert f"mf.{name}" in listed
    homes = {name.path.split(".")[1] for name in names.all_names()}
    assert not any(name.short.startswith("_") for name in names.all_names()) and "optimizers" in homes


def test_names_are_shown_as_they_are_called():
    calls = {name.written: name.call for name in names.all_names()}
    assert calls["mf.Linear"] == "mf.Linear(in_features, out_features, bias=True)"
    assert calls["model.save"] == "model.save(path)"
    assert calls["model.fit"].startswith("model.fit(x, y=None, *, loss=None")
    assert calls["mf.functional.relu"] == "mf.functional.relu(x)"


def test_groups_are_those_of_a_user():
    groups = {name.written: name.group for name in names.all_names()}
    expected = {"mf.Linear": "Layers", "mf.Adam": "Optimizers", "mf.ReLU": "Activations", "model.fit": "Training",
                "model.save": "Files", "mf.GRU": "Sequences and attention", "mf.trace": "Looking inside",
                "mf.check_gradients": "Proof", "mf.models.vgg16": "Ready models"}  # fmt: skip
    assert {name: groups[name] for name in expected} == expected
    assert all(name.words for name in names.all_names())


def test_every_name_has_a_page_that_no_other_file_system_mixes_up():
    pages = {name.page for name in names.all_names()}
    assert len({page.lower() for page in pages}) == len(pages)


def test_names_come_first_in_the_search():
    found = [
        {"location": "tutorials/lesson_04.html#linear", "title": "Linear", "text": "a layer"},
        {"location": "reference/Linear.html", "title": "Linear", "text": "y Source code in miniframe/layers"},
        {"location": "reference/Linear.html#miniframe.layers.linear.Linear.forward", "title": "forward", "text": ""},
    ]
    first, second, third = search.entries(found)
    assert first[:4] == ["Linear", 0, "reference/Linear.html", "y "]
    assert second[0] == "Linear.forward" and third[2] == "tutorials/lesson_04.html#linear"


def test_files_and_names_in_a_page_lead_somewhere_once():
    prose = "`Linear`, `core/cells.py`, `mf.trace(model, x)`, [`Adam`](x), `x`, again `Linear`"
    text = f"# `Linear`\n\n{prose}\n\n```\n`Tap`\n```\n"
    assert crosslinks.with_links(text, "../") == (
        "# `Linear`\n\n[`Linear`](../reference/Linear.md), [`core/cells.py`](../source/core/cells.html), "
        "[`mf.trace(model, x)`](../reference/trace.md), [`Adam`](x), `x`, again `Linear`\n\n```\n`Tap`\n```\n"
    )
    rows = crosslinks.with_linked_rows("| Tanh | y |\n| Abs | y |\n", "")
    assert rows == "| [Tanh](reference/Tanh.md) | y |\n| Abs | y |\n"


def test_the_home_page_prints_what_it_shows():
    page = ROOT / "docs" / "website" / "home.md"
    test = parsed(page)
    assert test.examples and not run(test)[1]


def test_the_workflow_publishes_what_make_builds():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text())["jobs"]
    commands = " && ".join(step.get("run", "") for step in jobs["build"]["steps"])
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"docs", "slides"} == set(re.findall(r"make (\w+)", commands)) <= set(targets)
    assert jobs["publish"]["needs"] == "build" and any("upload-pages" in str(step) for step in jobs["build"]["steps"])


# -------------------------------------------------------------------- the pages as they are built


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, built once; dead links end the build."""
    for needed in ("mkdocs", "material", "mkdocstrings", "ziamath", "brotli"):
        pytest.importorskip(needed, reason="make docs installs it")
    build = load_script("docs/build.py")
    build.PAGES, build.SITE = tmp_path_factory.mktemp("build") / "pages", tmp_path_factory.mktemp("site")
    build.main()
    return build.SITE


def test_nothing_is_fetched_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 200
    for page in pages:
        for source in re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="([^"]+)"', page.read_text()):
            assert not source.startswith(("http", "//")), f"{page.name}: {source}"


def test_no_formula_or_diagram_is_left_as_text(site):
    for page in (site / "tutorials").glob("*.html"):
        prose = re.sub(r"<(pre|code)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
        assert "$" not in re.sub(r"<script.*?</script>", "", prose, flags=re.DOTALL), page.name
    assert "diagram_" in (site / "tutorials" / "lesson_03_backpropagation.html").read_text()


def test_bars_of_a_norm_do_not_stretch(formulas):
    found = ElementTree.fromstring(formulas.mathml(r"\frac{\lVert a \rVert}{2} + \lVert g \rVert^2", "block"))
    bars = [element for element in found.iter() if element.text == "‖"]
    assert len(bars) == 4 and all(bar.tag == f"{MATHML}mo" and bar.get("stretchy") == "false" for bar in bars)


def test_the_font_has_every_sign_of_a_formula_and_the_root_that_the_browser_draws(site):
    from fontTools.ttLib import TTFont

    there = TTFont(site / "assets" / "math.woff2").getBestCmap()
    signs = {"√"}  # stands in no page: <msqrt> asks for it
    for page in (site / "tutorials").glob("*.html"):
        for formula in re.findall(r"<math.*?</math>", page.read_text(), re.DOTALL):
            signs.update(html.unescape(re.sub(r"<[^>]+>|\s", "", formula)))
    assert not [sign for sign in signs if ord(sign) not in there]


def test_recordings_play_where_a_page_names_them(site):
    for page, wanted in {"lesson_05_the_disk": ["disk"], "lesson_22_museum": ["mistake"]}.items():
        text = (site / "tutorials" / f"{page}.html").read_text()
        assert re.findall(r'<iframe src="../replays/(\w+)\.html"', text) == wanted and "<!-- replay" not in text
    shown = re.findall(r'<iframe src="../(replays/\w+\.html)"', (site / "docs" / "lab.html").read_text())
    assert len(shown) == 3 and all((site / path).exists() for path in shown)


def test_sources_pictures_and_pages_are_there(site):
    for page in site.rglob("*.html"):
        for link in re.findall(r'(?:src|href)="((?:\.\./)*(?:source|figures)/[^"#]+)', page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(site)}: {link}"


@pytest.mark.parametrize("query", ["Linear", "save", "Adam"])
def test_the_first_of_that_name_is_its_page(site, query):
    entries = json.loads((site / "search" / "entries.js").read_text().partition(" = ")[2].rstrip(";\n"))
    exact = [entry for entry in entries if entry[0].split(".")[-1] == query]
    assert exact[0][2] == f"reference/{query}.html"


def test_a_browser_finds_names_first_and_copies_code(site, chromium):
    page = chromium.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.goto((site / "reference" / "Adam.html").as_uri())
    wanted = {"Linear": "Linear", "save": "save", "Adam": "Adam", "cross entropy": "CrossEntropyLoss"}
    for query, name in wanted.items():
        assert page.evaluate("query => window.searchResults(query)", query)[0] == f"reference/{name}.html"
    page.goto((site / "tutorials" / "lesson_02_one_neuron.html").as_uri())
    page.locator(".copy").first.click()
    copied = page.evaluate("document.querySelector('.copy').dataset.copied")
    assert copied.startswith("import mlx.core as mx\nX = mx.array") and ">>>" not in copied
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
    assert not wrong
