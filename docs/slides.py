"""Makes slides of the lessons, into slides/. ``make slides`` runs it; reveal.js, which is copied along, shows them.

A slide has what a room should look at: formulas, code with what it prints, pictures, lists, and the first sentence of
each paragraph. The whole text goes to the speaker's notes (press S). Sections lie side by side; the slides of a section
one below the other. Numbers choose some of the lessons: ``python docs/slides.py 3 6``.
"""

import re
import shutil
import sys
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from markdown import markdown
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonConsoleLexer, TextLexer
from website import diagrams, formulas, pictures

HERE = Path(__file__).parent
ROOT = HERE.parent
SLIDES = ROOT / "slides"
FULL = 16.0  # lines that a slide holds
PICTURE = 11.0  # lines that a picture takes
WIDEST = 100  # characters of code in a line
LEFT_OUT = ("What to read next",)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/reset.css"><link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="slides.css"></head>
<body><div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/reveal.js"></script><script src="reveal/notes.js"></script>
<script>Reveal.initialize({{ hash: true, width: 1280, height: 720, margin: 0.03, center: false, slideNumber: "c/t",
transition: "none", plugins: [RevealNotes] }})</script>
</body></html>
"""


@dataclass
class Part:
    """A piece of a slide: what is shown, how many lines it takes, and what the speaker may say."""

    html: str
    lines: float
    notes: str = ""


def blocks(text: str) -> list[tuple[str, str]]:
    """(kind, content) of the pieces of a section: "```pycon", "$$", or "" for prose."""
    found: list[tuple[str, str]] = []
    lines = iter(text.split("\n"))
    prose: list[str] = []
    for line in lines:
        opens = line.startswith(("```", "$$"))
        if prose and (opens or not line.strip()):
            found.append(("", "\n".join(prose)))
            prose = []
        if not opens:
            prose += [line] if line.strip() else []
            continue
        inside, end = [], line[:2] if line.startswith("$$") else "```"
        if line.startswith("$$") and line.rstrip(" ,.").count("$$") == 2:
            found.append(("$$", line.split("$$")[1]))
            continue
        for inner in lines:
            if inner.startswith(end):
                break
            inside.append(inner)
        found.append((line.strip(), "\n".join([line[2:], *inside] if end == "$$" else inside)))
    return [*found, ("", "\n".join(prose))] if prose else found


def parts(text: str, stem: str) -> list[Part]:
    """The pieces of a section, in order."""
    found = []
    for kind, content in blocks(text):
        if kind == "```mermaid":
            found += drawn(content, stem)
        elif kind.startswith("```"):
            found += listing(content)
        elif kind.startswith("$$"):
            rows = formulas.row(content)
            tall = max(2.2 + 1.1 * row.count(r"\\") + 0.8 * (r"\underbrace" in row) for row in rows)
            found.append(Part(formulas.with_formulas(f"$${content}$$"), tall))
        elif not content.startswith("<!--"):
            found += words(content)
    return found


def listing(code: str) -> list[Part]:
    """An example; a long one goes on on the next slide, cut at a prompt."""
    lines, pieces = code.rstrip("\n").split("\n"), []
    while len(lines) > FULL + 1:
        cut = next((n for n in range(int(FULL), 5, -1) if lines[n].startswith(">>> ")), int(FULL))
        pieces.append(lines[:cut])
        lines = lines[cut:]
    pieces.append(lines)
    return [Part(coloured("\n".join(piece)), 0.82 * len(piece) + 0.8) for piece in pieces]


def coloured(code: str) -> str:
    """Code as HTML; small where a line is too long for the slide."""
    lexer = PythonConsoleLexer() if code.startswith((">>>", "...")) else TextLexer()
    size = min(20.0, 20.0 * WIDEST / max(map(len, code.split("\n"))))
    html = highlight(code, lexer, HtmlFormatter())
    return html if size == 20 else html.replace("<pre>", f'<pre style="font-size: {size:.1f}px">')


def drawn(mermaid: str, stem: str) -> list[Part]:
    """A diagram, within the page."""
    svg = re.sub(r'width="\d+" height="\d+" ', "", diagrams.svg(mermaid), count=1)
    return [Part(f'<div class="diagram">{svg.replace("tip", f"tip-{stem}-{len(mermaid)}")}</div>', PICTURE)]


def words(prose: str) -> list[Part]:
    """A picture; a list or a table; or of a paragraph the first sentence, and all of it for the speaker."""
    image = pictures.IMAGE.fullmatch(prose)
    if image:
        name = Path(image[2]).name
        return [Part(f'<img src="figures/{name}" alt="{escape(image[1])}">', PICTURE, image[1])]
    html = shown(prose)
    if re.match(r"[-*|>] ?|\d+\. ", prose):
        return [Part(html, 1.1 * len(re.findall(r"<li>|<tr>|<p>", html)) + len(prose) / 160)]
    if prose.startswith("**"):  # an exercise, or words that stand for a heading
        return [Part(html, 1 + len(prose) / 85)]
    first = shown(to_show(prose))
    return [Part(first, 0.5 + 1.1 * (1 + len(re.sub(r"<[^>]+>", "", first)) // 88), html)]


def to_show(prose: str) -> str:
    """The first sentence, and the last one where it leads to what stands below, as one that ends with a colon does."""
    first, *more = sentences(prose)
    return f"{first} {more[-1]}" if more and not re.search(r"[.?!)*]$", prose) else first


def sentences(prose: str) -> list[str]:
    """Cut behind the full stops that end a sentence, outside of formulas and code."""
    hidden = formulas.FORMULA.sub(lambda m: "x" * len(m[0]), prose)
    hidden = re.sub(r"`[^`]*`", lambda m: "x" * len(m[0]), hidden)
    ends = [match.end() for match in re.finditer(r"(?<![A-Z])[.:?!]\)?(?=\s+[A-Z*`]|\s*$)", hidden)]
    cuts = [0, *ends] if ends and ends[-1] == len(prose) else [0, *ends, len(prose)]
    return [prose[start:end].strip() for start, end in zip(cuts, cuts[1:])]


def shown(text: str) -> str:
    """Markdown as HTML, with formulas; links are words."""
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    return markdown(formulas.with_formulas(plain), extensions=["tables"])


def slides_of(text: str, stem: str) -> str:
    """All slides of a lesson."""
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    words_, _, opening = title.removeprefix("# ").partition("\n")
    first = f"<section class='title'><h1>{heading(words_)}</h1>{shown(opening.strip())}</section>"
    stacks = []
    for section in sections:
        name, _, body = section.partition("\n")
        if name.strip() not in LEFT_OUT:
            body = re.sub(r"^### (.*)$", r"**\1**", body, flags=re.MULTILINE)
            stacks.append("<section>" + "\n".join(filled(name, parts(body, stem))) + "</section>")
    return "\n".join([first, *stacks])


def filled(name: str, found: list[Part]) -> list[str]:
    """A section's pieces on as many slides as they need."""
    slides: list[list[Part]] = [[]]
    for number, part in enumerate(found):
        follows = found[number + 1].lines if part.notes and number + 1 < len(found) else 0.0  # words lead to what comes
        used = sum(other.lines for other in slides[-1])
        if slides[-1] and used + part.lines + (follows if part.lines + follows <= FULL else 0) > FULL:
            slides.append([])
        slides[-1].append(part)
    return [slide(name, some) for some in slides]


def slide(name: str, some: list[Part]) -> str:
    notes = "".join(part.notes if part.notes.startswith("<") else f"<p>{part.notes}</p>" for part in some if part.notes)
    used = sum(part.lines for part in some)
    small = ' class="small"' if used > FULL else ""
    body = "\n".join(part.html for part in some)
    return f'<section{small}><h2>{heading(name)}</h2>\n{body}\n<aside class="notes">{notes}</aside></section>'


def heading(name: str) -> str:
    """Words within a heading; a number in front of them starts no list."""
    return shown(re.sub(r"^(\d+)\.", r"\1\.", name.strip())).removeprefix("<p>").removesuffix("</p>")


def write_shared() -> None:
    """What all slides use: reveal.js, the style, the pictures, and the font for formulas."""
    reveal = files("sphinx_revealjs").joinpath("_static/revealjs")
    (SLIDES / "reveal").mkdir(parents=True, exist_ok=True)
    for name in ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", "LICENSE"):
        (SLIDES / "reveal" / Path(name).name).write_bytes(reveal.joinpath(name).read_bytes())
    shutil.copy(HERE / "website" / "assets" / "slides.css", SLIDES / "slides.css")
    with (SLIDES / "slides.css").open("a") as style:
        style.write(HtmlFormatter(style="default").get_style_defs(".highlight"))
    (SLIDES / "figures").mkdir(exist_ok=True)
    for path in (ROOT / "figures").iterdir():
        if path.suffix in (".png", ".gif", ".svg"):
            shutil.copy(path, SLIDES / "figures")


def main(numbers: list[str]) -> None:
    SLIDES.mkdir(exist_ok=True)
    write_shared()
    letters, links = set(), []
    for lesson in sorted((ROOT / "tutorials").glob("lesson_*.md")):
        if numbers and int(lesson.stem.split("_")[1]) not in map(int, numbers):
            continue
        text = lesson.read_text()
        title = text.splitlines()[0].removeprefix("# ")
        slides = slides_of(text, lesson.stem)
        letters.update("".join(re.findall(r"<math.*?</math>", slides, re.DOTALL)))
        (SLIDES / f"{lesson.stem}.html").write_text(PAGE.format(title=escape(title), slides=slides))
        links.append(f'<li><a href="{lesson.stem}.html">{escape(title)}</a></li>')
    (SLIDES / "math.woff2").write_bytes(formulas.math_font("".join(sorted(letters))))
    help_ = "Arrows move, S opens the speaker's notes, F fills the screen; ?print-pdf at the end of an address prints."
    index = f"<section class='index'><h1>Slides</h1><p>{help_}</p><ul>{''.join(links)}</ul></section>"
    (SLIDES / "index.html").write_text(PAGE.format(title="Slides", slides=index))
    print(SLIDES / "index.html")


if __name__ == "__main__":
    main(sys.argv[1:])
