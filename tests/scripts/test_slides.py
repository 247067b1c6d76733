"""The slides: all code, formulas and pictures of a lesson are on them, its words in the notes; nothing runs over."""

import re
from html import unescape
from pathlib import Path

import pytest
from loading import load_script

for needed in ("markdown", "latex2mathml", "fontTools", "ziamath", "brotli", "sphinx_revealjs"):
    pytest.importorskip(needed, reason="make slides installs it")

ROOT = Path(__file__).parents[2]
make_slides = load_script("docs/slides.py")
LESSONS = sorted((ROOT / "tutorials").glob("lesson_*.md"))


def plain(html):
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_everything_of_a_lesson_is_on_its_slides(lesson):
    text = lesson.read_text()
    taught = text[: text.index("## What to read next")]
    slides = make_slides.slides_of(text, lesson.stem)
    shown = plain(slides)
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", taught, re.MULTILINE | re.DOTALL):
        assert language == "mermaid" or all(line in shown for line in block.splitlines()), block[:200]
    for picture in re.findall(r"!\[[^\]]*\]\(\.\./figures/([^)]+)\)", taught):
        assert f'src="figures/{picture}"' in slides
    assert slides.count('class="formula"') >= len(re.findall(r"^\$\$", taught, re.MULTILINE)) // 2
    prose = re.sub(r"<(pre|svg)\b.*?</\1>", "", slides, flags=re.DOTALL)
    assert "$" not in re.sub(r"<code>.*?</code>", "", prose, flags=re.DOTALL)


def test_a_paragraph_shows_its_first_sentence_and_the_notes_have_all_of_it():
    slides = make_slides.slides_of("# A\n\nB.\n\n## C\n\nSee `a.b`, $x. Y$ and so on. Then more.\n", "a")
    body, notes = re.search(r"<h2>C</h2>(.*?)<aside class=\"notes\">(.*?)</aside>", slides, re.DOTALL).groups()
    assert "and so on." in body and "Then more" not in body and "Then more." in notes


def test_the_sentence_that_leads_to_an_example_is_shown():
    assert make_slides.to_show("So it is. By K. Pearson. Look at this:") == "So it is. Look at this:"
    assert make_slides.to_show("We measure `a.b`. Then") == "We measure `a.b`. Then"
    assert make_slides.to_show("One. Two. Three.") == "One."


def test_a_numbered_heading_is_no_list():
    assert make_slides.heading("2. The missing 1/n") == "2. The missing 1/n"


def test_a_long_example_goes_on_at_a_prompt():
    code = "".join(f">>> print({n})\n{n}\n" for n in range(20))
    first, *more = make_slides.listing(code)
    assert more and all(plain(part.html).startswith(">>> ") for part in [first, *more])


def test_slides_fit_and_fetch_nothing(tmp_path, monkeypatch, chromium):
    monkeypatch.setattr(make_slides, "SLIDES", tmp_path / "slides")
    make_slides.main([])
    over = """() => [...document.querySelectorAll('.slides section:not(:has(section))')].filter(slide => {
        const place = Reveal.getIndices(slide)
        Reveal.slide(place.h, place.v)
        const shown = [...slide.children].filter(part => part.tagName != 'ASIDE')
        const wide = [...slide.querySelectorAll('pre, .formula, table')].map(part => part.scrollWidth)
        return Math.max(...shown.map(part => part.offsetTop + part.offsetHeight)) > 722 || Math.max(0, ...wide) > 1285
    }).map(slide => slide.innerText.slice(0, 80))"""
    page, failed = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    aborted = "net::ERR_ABORTED"  # by the next page, which does not wait for a font
    page.on("requestfailed", lambda request: request.failure == aborted or failed.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    for path in sorted((tmp_path / "slides").glob("*.html")):
        assert not re.search(r'(?:src|href)="(?:https?:)?//', path.read_text())
        assert all((path.parent / font).exists() for font in re.findall(r'url\("?([^:)"]+woff2)', path.read_text()))
        page.goto(path.as_uri())
        assert page.evaluate(over) == [], path.name
    page.close()
    assert not failed
