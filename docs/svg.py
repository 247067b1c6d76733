"""A small pencil for the pictures of docs/architecture.md: boxes, words and arrows, as the text of an SVG file."""

from html import escape

INK, GREY, FAINT, PAPER = "#30363d", "#6b7580", "#d8dde2", "#ffffff"
BLUE, ORANGE = "#2f6db5", "#c8641a"
SANS = "'DejaVu Sans', Verdana, Helvetica, sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, monospace"

Point = tuple[float, float]


def words(x: float, y: float, text: str, size: float = 12, anchor: str = "start", fill: str = INK, font: str = SANS,
          bold: bool = False) -> str:  # fmt: skip
    """A line of text; ``anchor`` says whether it starts, ends or has its middle at x."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{fill}"{weight} '
        f'font-family="{font}" xml:space="preserve">{escape(text)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str = PAPER, edge: str = INK, round: float = 6) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round:g}" fill="{fill}" '
        f'stroke="{edge}"/>'
    )


def arrow(*points: Point, stroke: str = GREY, width: float = 1.2) -> str:
    """An arrow through the points; between two at different heights and places it bends softly."""
    (x, y), *rest = points
    path = f"M{x:g} {y:g}"
    for a, b in rest:
        middle = (y + b) / 2
        path += f" L{a:g} {b:g}" if a == x or b == y else f" C{x:g} {middle:g} {a:g} {middle:g} {a:g} {b:g}"
        x, y = a, b
    return f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}" marker-end="url(#{stroke[1:]})"/>'


def sheet(width: float, height: float, parts: list[str]) -> str:
    """The whole file: the parts on paper, the first at the bottom."""
    heads = "".join(
        f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
        for colour in (INK, GREY, BLUE, ORANGE)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}">',
            f"<defs>{heads}</defs>",
            box(0, 0, width, height, edge="none", round=0),
            *parts,
            "</svg>\n",
        ]
    )
