"""From boxes and arrows to SVG, written by hand, and to PNG, through matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from ..core.teach import teach
from .boxes import Box, Picture
from .layout import Layout, arrange

CHARACTER, LINE, PADDING, MARGIN = 7.4, 17.0, 10.0, 12.0  # pixels, for text of 13 pixels
NAME, BAND = 52.0, "#eeeeee"  # the width of a level's name, and the colour behind its boxes
COLOURS = {"title": "#1a1a1a", "shape": "#666666", "value": "#1b7837", "grad": "#b2182b"}


def save(picture: Picture, path: str | Path) -> None:
    """Write the picture; the ending says how: .svg, .png, or .mmd for Mermaid text."""
    path = Path(path)
    if path.suffix == ".svg":
        path.write_text(paint_svg(picture), encoding="utf-8")
    elif path.suffix == ".png":
        paint_png(picture, path)
    elif path.suffix == ".mmd":
        path.write_text(picture.mermaid() + "\n", encoding="utf-8")
    else:
        raise ValueError(f"draw: expected a path ending in .svg, .png or .mmd, got {str(path)!r}")


def paint_svg(picture: Picture) -> str:
    """The picture as an SVG document: text that browsers, code hosts and editors show."""
    layout = _layout(picture)
    top, left = _room(picture)
    width, height = layout.width + MARGIN + left, layout.height + MARGIN + top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L10 5 L0 10 z" fill="#555555"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<g transform="translate({left:.0f} {top:.0f})">',
    ]
    for x, y, wide, high, text in _bands(picture, layout):
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="4" fill="{BAND}"/>'
            f'<text x="{x + 6:.1f}" y="{y + 14:.1f}" fill="#555555" font-size="11">{text}</text>'
        )
    for points in layout.arrows:
        parts.append(f'<path d="{_curve(points, picture.down)}" fill="none" stroke="#555555" marker-end="url(#tip)"/>')
    for box, item in zip(picture.boxes, layout.boxes):
        x, y = item.x - item.width / 2, item.y - item.height / 2
        fill, round_, stroke = _style(box)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" rx="{round_}" '
            f'fill="{fill}" stroke="#555555" stroke-width="{stroke}"/>'
        )
        for number, (kind, text) in enumerate(box.lines()):
            weight = ' font-weight="bold"' if kind == "title" else ""
            parts.append(
                f'<text x="{item.x:.1f}" y="{y + PADDING / 2 + LINE * (number + 0.75):.1f}" text-anchor="middle" '
                f'fill="{COLOURS[kind]}"{weight}>{escape(text)}</text>'
            )
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _room(picture: Picture) -> tuple[float, float]:
    """How much is left free at the top and at the left: more where levels are named."""
    if not picture.levels:
        return MARGIN, MARGIN
    return (MARGIN, MARGIN + NAME) if picture.down else (MARGIN + LINE, MARGIN)


def _bands(picture: Picture, layout: Layout) -> Iterator[tuple[float, float, float, float, str]]:
    """(x, y, width, height, name) of the band behind each level's boxes, across the whole picture."""
    for level in picture.bands():
        items = [layout.boxes[number] for number in picture.in_band(level)]
        if picture.down:
            top, bottom = min(i.y - i.height / 2 for i in items) - 6, max(i.y + i.height / 2 for i in items) + 6
            yield -NAME, top, layout.width + NAME + 6, bottom - top, f"level {level}"
        else:
            left, right = min(i.x - i.width / 2 for i in items) - 6, max(i.x + i.width / 2 for i in items) + 6
            yield left, -LINE - 4, right - left, layout.height + LINE + 10, f"level {level}"


def paint_png(picture: Picture, path: Path) -> None:
    """The same picture as pixels."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
    except ImportError as error:
        raise ImportError("draw: PNG files need matplotlib: pip install miniframe[figures]") from error

    layout = _layout(picture)
    top, left = _room(picture)
    width, height = layout.width + MARGIN, layout.height + MARGIN
    figure = Figure(figsize=((width + left) / 100, (height + top) / 100), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-left, width), ylim=(height, -top))
    axes.axis("off")
    for x, y, wide, high, name in _bands(picture, layout):
        axes.add_patch(Rectangle((x, y), wide, high, fc=BAND, ec="none"))
        axes.text(x + 6, y + 10, name, va="center", color="#555555", fontsize=8)
    for points in layout.arrows:
        for start, end in zip(points[:-2], points[1:-1]):
            axes.plot(*zip(start, end), color="#555555", linewidth=0.8)
        axes.add_patch(FancyArrowPatch(points[-2], points[-1], arrowstyle="-|>", mutation_scale=9, color="#555555",
                                       linewidth=0.8, shrinkA=0, shrinkB=0))  # fmt: skip
    for box, item in zip(picture.boxes, layout.boxes):
        fill, round_, stroke = _style(box)
        corner = (item.x - item.width / 2 + round_, item.y - item.height / 2 + round_)
        inner = (item.width - 2 * round_, item.height - 2 * round_)
        style = f"round,pad={round_}"
        axes.add_patch(FancyBboxPatch(corner, *inner, boxstyle=style, fc=fill, ec="#555555", lw=stroke))
        for number, (kind, text) in enumerate(box.lines()):
            y = item.y - item.height / 2 + PADDING / 2 + LINE * (number + 0.5)
            axes.text(item.x, y, text, ha="center", va="center", color=COLOURS[kind], fontsize=9,
                      weight="bold" if kind == "title" else "normal")  # fmt: skip
    figure.savefig(path)


def _layout(picture: Picture) -> Layout:
    sizes = []
    for box in picture.boxes:
        lines = [text for _, text in box.lines()]
        sizes.append((max(map(len, lines)) * CHARACTER + 2 * PADDING, len(lines) * LINE + PADDING))
    return arrange(sizes, picture.arrows, picture.down)


def _style(box: Box) -> tuple[str, int, float]:
    """(fill, radius of the corners, width of the edge)."""
    return (
        "#fff3c4" if box.active else "#eef3fa" if box.given else "#ffffff",
        11 if box.given else 3,
        (2.2 if box.active else 1.0),
    )


def _curve(points: list[tuple[float, float]], down: bool) -> str:
    """A smooth way through the points, at each of them in the direction in which the arrows point."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        bends = f"{x0:.1f} {y:.1f} {x1:.1f} {y:.1f}" if down else f"{x:.1f} {y0:.1f} {x:.1f} {y1:.1f}"
        path += f" C{bends} {x1:.1f} {y1:.1f}"
    return path


teach(Picture, save)
