"""A picture as data: boxes and the arrows between them. It prints as Mermaid text; painting.py makes files of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import painting as _painting

LONG = 5  # calls in a row: longer graphs are drawn from top to bottom


@dataclass
class Box:
    """A node in a picture: its title, and beneath it, where known, shape, value and gradient."""

    title: str
    shape: str = ""
    value: str = ""
    grad: str = ""
    given: bool = False  # an input or a constant
    active: bool = False  # what the step that is pictured computes

    def lines(self) -> list[tuple[str, str]]:
        """(kind, text) of the lines in the box."""
        found = [("title", self.title), ("shape", self.shape)]
        found += [("value", self.value and f"value {self.value}"), ("grad", self.grad and f"grad {self.grad}")]
        return [(kind, text) for kind, text in found if text]


@dataclass
class Picture:
    """Boxes and the arrows between them, by number; prints as Mermaid text.

    ``levels``, if any, says for each box which others it may stand in a band with; 0 is for what is given.
    """

    boxes: list[Box]
    arrows: list[tuple[int, int]]
    levels: list[int] = field(default_factory=list)

    @property
    def down(self) -> bool:
        """Whether arrows point down, as suits long chains, instead of to the right."""
        longest = [0] * len(self.boxes)
        for source, target in sorted(self.arrows, key=lambda arrow: arrow[1]):
            longest[target] = max(longest[target], longest[source] + 1)
        return max(longest, default=0) > LONG

    def bands(self) -> list[int]:
        """The levels that are to be marked, in order."""
        return sorted({level for level in self.levels if level})

    def in_band(self, level: int) -> list[int]:
        """The numbers of the boxes of a level."""
        return [number for number, other in enumerate(self.levels) if other == level]

    def mermaid(self) -> str:
        """The picture as text that code hosts and many editors draw."""
        lines = [f"flowchart {'TD' if self.down else 'LR'}"]
        for number, box in enumerate(self.boxes):
            text = "<br/>".join(text for _, text in box.lines()).replace('"', "#quot;")
            left, right = ("([", "])") if box.given else ("[", "]")
            lines.append(f'    n{number}{left}"{text}"{right}')
        for level in self.bands():
            lines.append(f'    subgraph level{level}["level {level}"]')
            lines += [f"        n{number}" for number in self.in_band(level)]
            lines.append("    end")
        lines += [f"    n{source} --> n{target}" for source, target in self.arrows]
        lines += [f"    style n{i} stroke-width:3px" for i, box in enumerate(self.boxes) if box.active]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.mermaid()

    if TYPE_CHECKING:  # taught by painting.py
        save = _painting.save
