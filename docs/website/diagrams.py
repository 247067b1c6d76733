"""Diagrams: the Mermaid text that ``draw`` prints becomes the picture that ``draw`` paints, so nothing is fetched."""

import re

from miniframe.drawing.boxes import Box, Picture
from miniframe.drawing.painting import paint_svg

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NODE = re.compile(r'n(\d+)(\(\[|\[)"(.*)"(?:\]\)|\])')
ARROW = re.compile(r"n(\d+) --> n(\d+)")
ACTIVE = re.compile(r"style n(\d+) stroke-width:3px")


def svg(mermaid: str) -> str:
    """The picture of a flowchart in the words that ``draw`` uses; others are an error."""
    return paint_svg(read(mermaid))


def read(mermaid: str) -> Picture:
    """Boxes and arrows from text; the inverse of ``Picture.mermaid``."""
    first, *lines = [line.strip() for line in mermaid.strip().splitlines()]
    if first not in ("flowchart LR", "flowchart TD"):
        raise ValueError(f"a diagram has to be a flowchart as draw prints it, got {first!r}")
    picture = Picture([], [])
    for line in lines:
        if node := NODE.fullmatch(line):
            picture.boxes.append(box(node[3], given=node[2] == "(["))
        elif arrow := ARROW.fullmatch(line):
            picture.arrows.append((int(arrow[1]), int(arrow[2])))
        elif active := ACTIVE.fullmatch(line):
            picture.boxes[int(active[1])].active = True
        else:
            raise ValueError(f"a diagram has to be a flowchart as draw prints it, got the line {line!r}")
    return picture


def box(text: str, given: bool) -> Box:
    title, *more = text.replace("#quot;", '"').split("<br/>")
    known = {line.split(" ")[0]: line.split(" ", 1)[1] for line in more if line.startswith(("value ", "grad "))}
    shape = next((line for line in more if line.startswith("(")), "")
    return Box(title, shape, known.get("value", ""), known.get("grad", ""), given)
