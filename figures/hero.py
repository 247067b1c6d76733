"""The README's animation: a layer with a wrong backward trains without complaint, is caught, named, and mended.

    python figures/hero.py        # writes hero.svg next to this script, and hero_tall.svg for phones

The code in the picture is run, and the reports in it are what check_gradients printed. The animation is CSS inside the
SVG: browsers and code hosts play it, and whoever asks for less motion sees the report at once.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import mlx.core as mx

import miniframe as mf

HERE = Path(__file__).parent
SECONDS = 19.0
ADVANCE, LINE = 7.25, 19.0  # the width of a character of 12 pixels, and from line to line
INK, GREY, RED, GREEN, BLUE, ORANGE = "#e6e9ef", "#8b95a5", "#ff7b72", "#7ee787", "#79c0ff", "#ffa657"

CODE = """\
class MyTanh(mf.Module):
    def forward(self, x):
        self.saved = x
        return mx.tanh(x)

    def backward(self, grad_output):
        x = self.saved
        return grad_output * (1 - x**2)

layer = MyTanh()
model = Sequential(
    Linear(2, 3), layer, Linear(3, 1)
)"""
WRONG = "grad_output * (1 - x**2)"
RIGHT = "grad_output * (1 - mx.tanh(x) ** 2)"
CALL = ">>> mf.check_gradients(model, x)"


def report(code: str) -> list[str]:
    """What check_gradients prints of the model in this code, without the lines that show single elements."""
    mf.seed(0)
    names = {"mf": mf, "mx": mx, "Sequential": mf.Sequential, "Linear": mf.Linear}
    exec(code, names)
    lines = str(mf.check_gradients(names["model"], mf.datasets.disk(5, seed=0)[0])).splitlines()
    kept = [line for line in lines if "worst at" not in line]
    return [part for line in kept for part in broken(line)]


def broken(line: str, most: int = 61) -> list[str]:
    """A long line in two, with the same indent."""
    if len(line) <= most:
        return [line]
    cut = line.rindex(" ", 0, most)
    return [line[:cut], " " * (len(line) - len(line.lstrip())) + line[cut + 1 :]]


@dataclass(frozen=True)
class Sheet:
    """The size of the picture, and (x, y, width, height) of its three panels."""

    size: tuple[int, int]
    editor: tuple[int, int, int, int]
    network: tuple[int, int, int, int]
    report: tuple[int, int, int, int]


WIDE = Sheet((900, 396), (8, 8, 400, 380), (418, 0, 474, 104), (418, 112, 474, 276))
TALL = Sheet((490, 764), (8, 104, 474, 366), (8, 0, 474, 104), (8, 480, 474, 276))


class Film:
    """Pieces of SVG, each with the times at which it can be seen."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.rules: list[str] = []
        self.parts: list[str] = []

    @contextmanager
    def panel(self, place: tuple[int, int, int, int]) -> Iterator[tuple[int, int]]:
        """What is added within has its origin in the panel's corner; gives the panel's width and height."""
        x, y, width, height = place
        self.parts.append(f'<g transform="translate({x} {y})">')
        yield width, height
        self.parts.append("</g>")

    def add(self, part: str, start: float = 0.0, end: float = SECONDS, still: bool = True) -> None:
        """A piece that is there from ``start`` to ``end``; ``still``: whether it is in the picture without motion."""
        if (start, end) == (0.0, SECONDS):
            self.parts.append(part)
            return
        name = f"t{len(self.rules)}"
        a, b = 100 * start / SECONDS, 100 * end / SECONDS
        first = "0%{opacity:0}" if start else "0%{opacity:1}"
        into = f"{a:.2f}%{{opacity:0}}{a + 1:.2f}%{{opacity:1}}" if start else ""
        out = f"{b:.2f}%{{opacity:1}}{min(b + 1, 100):.2f}%,100%{{opacity:0}}" if end < SECONDS else "100%{opacity:1}"
        self.rules.append(f"@keyframes {name}{{{first}{into}{out}}}.{name}{{animation-name:{name}}}")
        self.parts.append(f'<g class="film {name}" opacity="{int(still)}">{part}</g>')

    def move(self, part: str, start: float, end: float, x: float) -> None:
        """A piece that travels sideways by x from ``start`` to ``end``, and can be seen only then."""
        name = f"t{len(self.rules)}"
        a, b = 100 * start / SECONDS, 100 * end / SECONDS
        self.rules.append(
            f"@keyframes {name}{{0%,{a:.2f}%{{opacity:0;transform:none}}{a + 0.5:.2f}%{{opacity:1;transform:none}}"
            f"{b:.2f}%{{opacity:1;transform:translateX({x}px)}}{b + 0.5:.2f}%,100%{{opacity:0;"
            f"transform:translateX({x}px)}}}}.{name}{{animation-name:{name}}}"
        )
        self.parts.append(f'<g class="film {name}" opacity="0">{part}</g>')

    def svg(self) -> str:
        """The file."""
        style = (
            "text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}"
            f".film{{animation-duration:{SECONDS:g}s;animation-iteration-count:infinite;animation-timing-function:linear}}"
            "@media (prefers-reduced-motion:reduce){.film{animation:none}}" + "".join(self.rules)
        )
        words = "check_gradients catches a wrong backward and names the layer and the mistake; then it is mended."
        width, height = self.sheet.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{words}">\n<style>{style}</style>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def text(x: float, y: float, words: str, fill: str = INK, bold: bool = False, middle: bool = False) -> str:
    """A line of letters of equal width; its length is given, so that every font keeps the places."""
    stripped = words.lstrip(" ")
    x = x - ADVANCE * len(words) / 2 if middle else x + ADVANCE * (len(words) - len(stripped))
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}"{weight} textLength="{ADVANCE * len(stripped):.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(stripped)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", round: float = 8) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}" fill="{fill}" stroke="{stroke}"/>'


def coloured(x: float, y: float, line: str) -> str:
    """A line of code: keywords and names of maps in colours."""
    shades = {"class": ORANGE, "def": ORANGE, "return": ORANGE, "forward": BLUE, "backward": BLUE, "MyTanh": BLUE}
    return "".join(
        text(x + ADVANCE * word.start(), y, word[0], shades.get(word[0], INK))
        for word in re.finditer(r"\w+|[^\w\s]+(?: [^\w\s]+)*", line)
    )


def editor(film: Film, width: int, height: int) -> None:
    """The layer's source: the line that is wrong, marked when it is found, then the right one."""
    film.add(box(0, 0, width, height, "#161b22", "#30363d"))
    x, top = 14, 28
    for number, line in enumerate(CODE.splitlines()):
        y = top + LINE * number
        if WRONG not in line:
            film.add(coloured(x, y, line))
            continue
        film.add(box(6, y - 14, width - 12, 20, "#5c1f24", round=4), 10.2, 13.4, still=True)
        film.add(box(6, y - 14, width - 12, 20, "#1d4428", round=4), 13.6, SECONDS, still=False)
        film.add(coloured(x, y, line), 0, 13.4)
        film.add(coloured(x, y, line.replace(WRONG, RIGHT)), 13.6, SECONDS, still=False)
    y = top + LINE * len(CODE.splitlines()) + 22
    film.add(text(x, y, "A layer of your own, with a mistake:", GREY), 0, 13.4)
    film.add(text(x, y + LINE, "it runs, it trains, and nothing complains.", GREY), 0, 13.4)
    film.add(text(x, y, "Mended, and proven:", GREY), 13.6, SECONDS, still=False)
    film.add(text(x, y + LINE, "backward agrees with finite differences.", GREY), 13.6, SECONDS, still=False)


def network(film: Film) -> None:
    """The three layers, the values that run forward and the gradients that run back, wrong behind the wrong layer."""
    names, left, y, width, gap = ["Linear(2, 3)", "MyTanh()", "Linear(3, 1)"], 38, 46, 114, 38
    places = [left + (width + gap) * number for number in range(3)]
    film.add(f'<path d="M{left - 24} {y} H{places[2] + width + 24}" stroke="#586170" stroke-width="2" fill="none"/>')
    for x, name in zip(places, names):
        film.add(box(x, y - 24, width, 48, "#21262d", "#586170"))
        film.add(text(x + width / 2, y + 4, name, middle=True))
    for fill, edge, start, end, still in (
        ("#5c1f24", RED, 9.0, 13.4, True), ("#1d4428", GREEN, 14.6, SECONDS, False)
    ):  # fmt: skip
        film.add(box(places[1], y - 24, width, 48, fill, edge), start, end, still)
        film.add(text(places[1] + width / 2, y + 4, names[1], bold=True, middle=True), start, end, still)
    first, middle, last = left - 18, places[1] + width / 2, places[2] + width + 18
    dot = '<circle cx="{}" cy="{}" r="8" fill="{}"/>'
    film.move(dot.format(first, y, BLUE), 0.6, 2.4, last - first)
    film.add(text(first, y + 48, "forward: values", BLUE), 0.6, 2.6, still=False)
    film.move(dot.format(last, y, GREEN), 2.9, 3.9, middle - last)
    film.move(dot.format(middle, y, RED), 3.9, 4.9, first - middle)
    film.add(text(first, y + 48, "backward: gradients, wrong from MyTanh on", RED), 2.9, 5.1, still=False)


def reports(film: Film, width: int, height: int) -> None:
    """The call, and what it prints of the wrong layer and then of the right one."""
    film.add(box(0, 0, width, height, "#161b22", "#30363d"))
    film.add(text(18, 30, CALL), 5.4, SECONDS)
    lines_of_report(film, report(CODE), width, 6.2, 13.4, still=True)
    lines_of_report(film, report(CODE.replace(WRONG, RIGHT)), width, 14.4, SECONDS, still=False)


def lines_of_report(film: Film, lines: list[str], width: int, start: float, end: float, still: bool) -> None:
    """The lines of a report, one after the other."""
    named = [number for number, line in enumerate(lines) if "to blame" in line]
    for number, line in enumerate(lines):
        at, y = start + 0.35 * number, 44 + LINE * (number + 1)
        bold = bool(named) and (number == named[0] or number > named[0] + 1)  # the layer and the mistake
        shade = RED if bold or "BAD" in line or "FAILED" in line else GREEN
        if bold:
            film.add(box(6, y - 14, width - 12, 19, "#3d1d20", round=0), at, end, still)
        film.add(text(18, y, line, shade, bold), at, end, still)


def picture(sheet: Sheet) -> str:
    """The whole film."""
    film = Film(sheet)
    film.add(box(0, 0, *sheet.size, "#0d1117", round=12))
    with film.panel(sheet.editor) as (width, height):
        editor(film, width, height)
    with film.panel(sheet.network):
        network(film)
    with film.panel(sheet.report) as (width, height):
        reports(film, width, height)
    return film.svg()


PICTURES = {"hero.svg": WIDE, "hero_tall.svg": TALL}


def main() -> None:
    for name, sheet in PICTURES.items():
        (HERE / name).write_text(picture(sheet), encoding="utf-8")
        print(f"wrote figures/{name}")


if __name__ == "__main__":
    main()
