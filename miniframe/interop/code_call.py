"""One call of a layer in a script that is being written, and the lines that are written for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One call of a layer, and the lines that are written for it.

    Attributes:
        layer: the layer that is called.
        x: the names of its inputs, and ``shapes``, their shapes.
        y, shape: the name and the shape of its output.
        library: "numpy", "torch" or "mlx".
        path: the layer's name in the model; parameters are ``p["path.weight"]``.
        taken: the gradients, of the whole script, that have their first share already.
        title: the call in words.
        names: of the model's parameters and statistics, by their ids; what is shared has one name.
    """

    layer: Any
    x: list[str]
    shapes: list[tuple[int, ...]]
    y: str
    shape: tuple[int, ...]
    library: str
    path: str
    taken: set[str]
    title: str
    names: dict[int, str] = field(default_factory=dict)
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)

    @property
    def dy(self) -> str:
        return f"d{self.y}"

    def cell(self, name: str, book: str = "p") -> str:
        """How the code calls a parameter (in p) or its gradient (in g)."""
        cell = self.layer
        for part in name.split("."):
            cell = getattr(cell, part)
        full = self.names.get(id(cell), f"{self.path}.{name}" if self.path else name)
        return f'{book}["{full}"]'

    def own(self, name: str) -> str:
        """A name for something that backward needs again."""
        return f"{self.y}_{name}"

    def add(self, target: str, value: str) -> None:
        """``target = value`` the first time, and the sum of all shares later on."""
        self.backward.append(f"{target} = {target} + {value}" if target in self.taken else f"{target} = {value}")
        self.taken.add(target)

    def learn(self, name: str, value: str) -> None:
        self.add(self.cell(name, "g"), value)

    def send(self, value: str, to: int = 0) -> None:
        self.add(f"d{self.x[to]}", value)


def count_of(sizes: tuple[int, ...]) -> str:
    """How many numbers there are in a batch of samples of these sizes."""
    return " * ".join(["len(x)"] + ([str(math.prod(sizes))] if math.prod(sizes) != 1 else []))


def floats(library: str) -> str:
    """What asks NumPy for single precision, which the others have anyway."""
    return ", dtype=np.float32" if library == "numpy" else ""
