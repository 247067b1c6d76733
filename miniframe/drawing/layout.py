"""Where the boxes of a picture stand: in columns from left to right, so that every arrow points to the right.

The method of Sugiyama, Tagawa and Toda 1981: columns by the longest way from the inputs, stand-ins where an arrow
passes a column, then sweeps that pull every box towards the mean height of its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

COLUMN_GAP, ROW_GAP, SWEEPS = 46.0, 18.0, 8


@dataclass
class Item:
    """A box, or the stand-in of an arrow that passes this column; x and y are those of the centre."""

    width: float
    height: float
    column: int
    before: list[Item] = field(default_factory=list, repr=False)
    after: list[Item] = field(default_factory=list, repr=False)
    x: float = 0.0
    y: float = 0.0


@dataclass
class Layout:
    """Boxes, the points that each arrow passes (from the right edge of a box to the left edge of another), the size."""

    boxes: list[Item]
    arrows: list[list[tuple[float, float]]]
    width: float
    height: float


def arrange(sizes: Sequence[tuple[float, float]], arrows: Sequence[tuple[int, int]], down: bool = False) -> Layout:
    """Find a place for every box.

    Args:
        sizes: (width, height) of each box, sources before targets.
        arrows: (source, target) numbers.
        down: whether arrows point down instead of to the right.
    """
    if down:
        turned = arrange([(height, width) for width, height in sizes], arrows)
        for box in turned.boxes:
            box.x, box.y, box.width, box.height = box.y, box.x, box.height, box.width
        ways_down = [[(y, x) for x, y in way] for way in turned.arrows]
        return Layout(turned.boxes, ways_down, turned.height, turned.width)
    boxes = [Item(width, height, column) for (width, height), column in zip(sizes, _columns(len(sizes), arrows))]
    ways = [_way(boxes[source], boxes[target]) for source, target in arrows]
    items = boxes + [item for way in ways for item in way[1:-1]]
    columns: list[list[Item]] = [[] for _ in range(max(item.column for item in items) + 1)]
    for item in items:
        columns[item.column].append(item)
    x = 0.0
    for column in columns:
        width = max(item.width for item in column)
        for item in column:
            item.x = x + width / 2
            item.width = item.width or width  # an arrow passes the whole column level, clear of the boxes
        x += width + COLUMN_GAP
    _stack(columns)
    top = min(item.y - item.height / 2 for item in items)
    for item in items:
        item.y -= top
    bottom = max(item.y + item.height / 2 for item in items)
    points = [
        [
            (way[0].x + way[0].width / 2, way[0].y),
            *((item.x + side * item.width / 2, item.y) for item in way[1:-1] for side in (-1, 1)),
            (way[-1].x - way[-1].width / 2, way[-1].y),
        ]
        for way in ways
    ]
    return Layout(boxes, points, x - COLUMN_GAP, bottom)


def _columns(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """The length of the longest way to each box; what has no input stands right in front of its first use."""
    column = [0] * count
    for source, target in sorted(arrows, key=lambda arrow: arrow[1]):
        column[target] = max(column[target], column[source] + 1)
    targets = {target for _, target in arrows}
    first_use: dict[int, int] = {}
    for source, target in arrows:
        first_use[source] = min(first_use.get(source, column[target]), column[target])
    for box in range(count):
        if box not in targets and box in first_use:
            column[box] = first_use[box] - 1
    return column


def _way(source: Item, target: Item) -> list[Item]:
    """The arrow's stations, linked: source, stand-ins, target."""
    way = [source, *(Item(0, 8, column) for column in range(source.column + 1, target.column)), target]
    for left, right in zip(way, way[1:]):
        left.after.append(right)
        right.before.append(left)
    return way


def _stack(columns: list[list[Item]]) -> None:
    """Set the heights: sweeps to the right and to the left, each item drawn to its neighbours on the other side."""
    for column in columns:
        _place(column, {id(item): index * 40.0 for index, item in enumerate(column)})
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for column in columns if rightwards else reversed(columns):
            wanted = {}
            for item in column:
                near = item.before if rightwards else item.after
                wanted[id(item)] = sum(other.y for other in near) / len(near) if near else item.y
            column.sort(key=lambda item: wanted[id(item)])
            _place(column, wanted)


def _place(column: list[Item], wanted: dict[int, float]) -> None:
    """As near to the wanted heights as the gaps allow: pushed down where too close, then shifted back together."""
    low = float("-inf")
    for item in column:
        item.y = max(wanted[id(item)], low + item.height / 2)
        low = item.y + item.height / 2 + ROW_GAP
    shift = sum(item.y - wanted[id(item)] for item in column) / len(column)
    for item in column:
        item.y -= shift
