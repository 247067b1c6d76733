"""The floors of the package, as docs/architecture.md shows them: a picture and a table, made from the imports.

python docs/floors.py        # renews figures/architecture_floors.svg and the table; a test fails when they are stale
"""

import ast
import re
from pathlib import Path

import house
from house import FLOORS
from svg import FAINT, GREY, Point, arrow, box, sheet, words

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "miniframe"
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "figures" / "architecture_floors.svg"
MARKS = "<!-- floors: begin -->\n", "<!-- floors: end -->\n"

PLACES = {  # of the folders on their floors, from left to right
    "exercises": 1.5, "testing": 3.5, "lab": 0, "bench": 5, "plots": 3.5, "insight": 3.5, "interop": 1, "training": 3.5,
    "models": 0, "saving": 1, "drawing": 2, "explain": 3, "checking": 4, "datasets": 5,
    "graph": 2, "losses": 3, "optimizers": 4, "data": 5, "layers": 0.5, "core": 2.5, "backend": 2.5,
}  # fmt: skip

Pair = tuple[str, str]  # (who imports, what is imported)

# -------------------------------------------------------------------- what the code says


def storeys() -> list[tuple[str, list[str]]]:
    """(label, the folders that exist) of every floor below the roof, from the top."""
    rooms = {house.room(module) for module in house.modules_of(PACKAGE)}
    return [
        (str(number) if number else "ground", [name for name in names if name in rooms])
        for number, names in FLOORS.items()
        if 0 <= number < 9
    ]


def folders() -> list[str]:
    """The folders that hold code, from the top."""
    return [name for _, names in storeys() for name in names]


def imports() -> dict[str, set[str]]:
    """From every folder to the folders that it imports from.

    Raises:
        ValueError: for an import that does not lead down.
    """
    found = house.imports(PACKAGE)
    if complaints := house.upward(found):
        raise ValueError(complaints[0])
    known = set(folders())
    return {room: targets & known for room, targets in house.between_rooms(found).items() if room in known}


def arrows(found: dict[str, set[str]]) -> list[Pair]:
    """The imports between folders, without those that follow from two others."""
    behind: dict[str, set[str]] = {}  # all that a folder reaches; filled from the ground up
    for name in reversed(folders()):
        behind[name] = found[name].union(*(behind[target] for target in found[name]))
    return [
        (name, target)
        for name in folders()
        for target in sorted(found[name])
        if not any(target in behind[other] for other in found[name])
    ]


def size_of(folder: str) -> str:
    """How many files and lines, the lines in round numbers."""
    files = list((PACKAGE / folder).rglob("*.py"))
    lines = sum(len(path.read_text().splitlines()) for path in files)
    return f"{len(files)} files, {round(lines, -2):,} lines"


def about(folder: str) -> str:
    """What lives in a folder, in the first sentence of its own documentation."""
    text = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text())) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.]) (?=[A-Z])", first)[0].replace("``", "`")


# -------------------------------------------------------------------- the picture and the table

LEFT, TOP, STEP, PITCH, WIDTH, HEIGHT = 96, 76, 94, 168, 138, 44


def top(index: int) -> float:
    """The upper edge of the boxes of a floor."""
    return TOP + index * STEP + (STEP - HEIGHT) / 2


def corner(name: str) -> Point:
    """The upper left corner of a folder's box."""
    index = next(index for index, (_, names) in enumerate(storeys()) if name in names)
    return LEFT + PLACES[name] * PITCH, top(index)


def middle(name: str) -> float:
    return corner(name)[0] + WIDTH / 2


def lane(index: int, aim: float, start: float) -> float:
    """Where an arrow can pass a floor, nearest to where it wants to: at a box's place or between two, if it is free."""
    boxes = [corner(name)[0] for name in storeys()[index][1]]
    places = [LEFT + half / 2 * PITCH + WIDTH / 2 for half in range(12)]
    free = [x for x in places if not any(left - 8 < x < left + WIDTH + 8 for left in boxes)]
    return min(free, key=lambda x: (abs(x - aim), abs(x - start)))


def routes(pairs: list[Pair]) -> dict[Pair, list[Point]]:
    """The points that each arrow goes through: out of a box, past the boxes of the floors between, into a box."""
    floor = {name: index for index, (_, names) in enumerate(storeys()) for name in names}
    passed: dict[tuple[int, float], list[Pair]] = {}  # a floor and a lane, and who goes through
    for source, target in pairs:
        x, end = middle(source), middle(target)
        between = range(floor[source] + 1, floor[target])
        for index in between:
            x = lane(index, end if len(between) > 1 else (x + end) / 2, start=x)
            passed.setdefault((index, x), []).append((source, target))
    ways: dict[Pair, list[Point]] = {pair: [] for pair in pairs}
    for (index, x), sharing in sorted(passed.items()):
        for place, pair in enumerate(sorted(sharing, key=lambda pair: (middle(pair[1]), middle(pair[0])))):
            ways[pair].append((x + 9 * (place - (len(sharing) - 1) / 2), top(index)))
    return {pair: [port(pair, 0, ways), *_both_ends(ways[pair]), port(pair, 1, ways)] for pair in pairs}


def _both_ends(way: list[Point]) -> list[Point]:
    return [(x, y) for x, high in way for y in (high, high + HEIGHT)]


def port(pair: Pair, end: int, ways: dict[Pair, list[Point]]) -> Point:
    """Where an arrow leaves its first box (end 0) or enters its second (end 1): side by side, in order."""

    def towards(other: Pair) -> tuple[float, float]:
        far = middle(other[1 - end])
        return (ways[other][-end][0] if ways[other] else far), far

    name = pair[end]
    order = sorted((other for other in ways if other[end] == name), key=towards)
    x, y = corner(name)
    return x + WIDTH * (order.index(pair) + 1) / (len(order) + 1), y + HEIGHT * (1 - end)


def picture() -> str:
    """The floors as the text of an SVG file."""
    found, wide = imports(), LEFT + 5 * PITCH + WIDTH + 24
    parts = []
    for index, (label, _) in enumerate(storeys()):
        parts.append(box(16, TOP + index * STEP + 5, wide - 32, STEP - 10, fill="#f6f8fa", edge="none"))
        parts.append(words(28, TOP + index * STEP + STEP / 2 + 4, label, fill=GREY))
    for points in routes(arrows(found)).values():
        parts.append(arrow(*points))
    for name in folders():
        x, y = corner(name)
        parts.append(box(x, y, WIDTH, HEIGHT))
        parts.append(words(x + WIDTH / 2, y + 19, f"{name}/", 13.5, "middle", bold=True))
        parts.append(words(x + WIDTH / 2, y + 35, size_of(name), 9.5, "middle", fill=GREY))
    roof = "   ".join(sorted(path.name for path in PACKAGE.glob("*.py")))
    parts.append(f'<path d="M16 {TOP} L{wide / 2:g} 10 L{wide - 16:g} {TOP} z" fill="{FAINT}"/>')
    parts.append(words(wide / 2, TOP - 28, "the roof", 12, "middle", fill=GREY))
    parts.append(words(wide / 2, TOP - 10, roof, 12, "middle"))
    low = TOP + len(storeys()) * STEP
    parts.append(
        words(28, low + 22, "An arrow means: imports. It is left out where other arrows lead there, too.", fill=GREY)
    )
    parts.append(words(28, low + 40, "The roof's arrows, to every folder, are not drawn.", fill=GREY))
    return sheet(wide, low + 56, parts)


def table() -> str:
    """The folders, floor by floor, as a Markdown table."""
    lines = ["| floor | folder | what lives there |", "|---|---|---|"]
    lines += [f"| {label} | `{name}/` | {about(name)} |" for label, names in storeys() for name in sorted(names)]
    return "\n".join(lines)


def renewed(page: str) -> str:
    """The page with the table as the code has it now."""
    begin, end = MARKS
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{table()}\n\n{end}", page, flags=re.S)


if __name__ == "__main__":
    PICTURE.write_text(picture())
    PAGE.write_text(renewed(PAGE.read_text()))
    print(PICTURE)
