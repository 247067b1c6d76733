"""Formulas: LaTeX becomes MathML, which browsers draw by themselves, with a font for mathematics that travels along.

A row of formulas, separated by ``\\qquad``, becomes one piece for each, so that a narrow screen can stack them.
"""

import io
import re
from importlib.resources import files
from itertools import pairwise
from xml.etree import ElementTree

from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert

CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
# $$ ... $$, or $ ... $ in a paragraph: no space inside the dollars, so that prices stay prices
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?=\S)((?:[^$\n]|\n(?!\s*\n))+?)(?<=\S)\$(?![\w$])", re.DOTALL)
MATHML = "http://www.w3.org/1998/Math/MathML"
ROWS = {f"{{{MATHML}}}{tag}" for tag in ("math", "mrow", "mstyle", "mtd")}
FUNCTION = re.compile(r"(arg)?[a-z]{2,}")
ITALIC = [*range(0x1D434, 0x1D468), 0x210E, *range(0x1D6E2, 0x1D71C)]  # what browsers write for single letters


def outside_code(text: str, change) -> str:
    """The page with ``change`` applied to everything but its code."""
    parts, start = [], 0
    for code in CODE.finditer(text):
        parts += [change(text[start : code.start()]), code[0]]
        start = code.end()
    return "".join([*parts, change(text[start:])])


def with_formulas(text: str) -> str:
    """The page with its formulas as MathML; code stays as it is."""
    return outside_code(text, lambda prose: FORMULA.sub(html, prose))


def html(match: re.Match) -> str:
    """One formula, on a line of its own or within one."""
    block, inline = match.groups()
    if block is None:
        return f"<span>{mathml(inline)}</span>"  # bare <math> would be a paragraph wherever it begins a line
    pieces = "".join(f"<div>{mathml(piece, 'block')}</div>" for piece in row(block))
    return f'<div class="formula">{pieces}</div>'


def row(formula: str) -> list[str]:
    """The formulas that ``\\qquad`` separates, where it stands outside of all braces and environments."""
    pieces, depth, start = [], 0, 0
    for token in re.finditer(r"\\begin|\\end|\\left|\\right|\\qquad|(?<!\\)[{}]", formula):
        depth += token[0] in ("\\begin", "\\left", "{")
        depth -= token[0] in ("\\end", "\\right", "}")
        if token[0] == "\\qquad" and depth == 0:
            pieces.append(formula[start : token.start()])
            start = token.end()
    pieces = [piece.strip() for piece in [*pieces, formula[start:]]]
    return [piece for piece in pieces if piece]


def mathml(formula: str, display: str = "inline") -> str:
    """A formula as MathML on one line, with a thin space between a function's name and what it is applied to."""
    ElementTree.register_namespace("", MATHML)
    root = ElementTree.fromstring(convert(" ".join(formula.split()), display=display))
    for parent in root.iter():
        if parent.text == ":":  # x: (N, D) is no ratio
            parent.tag = f"{{{MATHML}}}mo"
            parent.attrib.update(lspace="0em", rspace="0.28em")
        if parent.text == "‖":  # \lVert x \rVert: both bars as tall as a letter, whatever stands beside them
            parent.tag = f"{{{MATHML}}}mo"
            parent.attrib.update(stretchy="false", lspace="0em", rspace="0em")
        if parent.tag in ROWS:
            for number, (name, argument) in reversed(list(enumerate(pairwise(list(parent))))):
                if is_function(name) and argument.tag != f"{{{MATHML}}}mo":
                    parent.insert(number + 1, ElementTree.Element(f"{{{MATHML}}}mspace", width="0.17em"))
    return ElementTree.tostring(root, encoding="unicode")


def is_function(element: ElementTree.Element) -> bool:
    """Whether this is the name of a function, such as tanh, or such a name with a power or a limit."""
    while element.tag in {f"{{{MATHML}}}{tag}" for tag in ("msup", "msub", "msubsup", "munder")} and len(element):
        element = element[0]
    return element.tag in {f"{{{MATHML}}}mi", f"{{{MATHML}}}mo"} and bool(FUNCTION.fullmatch(element.text or ""))


def math_font(text: str) -> bytes:
    """STIX Two Math, as WOFF2, with what the pages need: their characters, and the italic letters of formulas.

    A root's sign stands in no page: the browser draws it where it finds ``<msqrt>``.
    """
    font = TTFont(io.BytesIO(files("ziamath").joinpath("fonts/STIXTwoMath-Regular.ttf").read_bytes()))
    options = subset.Options(layout_features=["*"], flavor="woff2", notdef_outline=True, drop_tables=["DSIG"])
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes={*map(ord, text), *range(0x20, 0x7F), *ITALIC, ord("√")})
    subsetter.subset(font)
    out = io.BytesIO()
    subset.save_font(font, out, options)
    return out.getvalue()
