"""The table that ``model.summary(input_shape)`` prints: shapes, parameters and work, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import mlx.core as mx

if TYPE_CHECKING:
    from .module import Module


@dataclass
class Row:
    """One layer call: its path in the model, its description, its output's shape for one sample, and its cost."""

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass
class Summary:
    """What ``summary`` found; prints as a table.

    Attributes:
        rows: one for each layer call, in order; a layer used twice counts its parameters once.
        parameters, trainable: how many numbers the model holds, and how many of them learn.
        multiply_adds: for one sample.
    """

    title: str
    input_shape: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    def __repr__(self) -> str:
        head = ("name", "layer", "output shape", "parameters", "multiply-adds")
        body = [
            (row.name, row.layer, _shape(row.output_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}")
            for row in self.rows
        ]
        foot = ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}")
        widths = [max(len(line[i]) for line in [head, *body, foot]) for i in range(5)]

        def line(cells: tuple[str, ...]) -> str:
            left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3])]
            right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
            return "  ".join(left + right).rstrip()

        rule = "-" * len(line(head))
        title = f"{self.title}, input {_shape(self.input_shape)}"
        frozen = f", {self.parameters - self.trainable:,} of them frozen" if self.trainable < self.parameters else ""
        return "\n".join([title, rule, line(head), rule, *map(line, body), rule, line(foot)]) + (
            f"\n{self.parameters:,} parameters{frozen}" if frozen else ""
        )


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(["batch", *map(str, shape)]) + ")"


def summarize(model: Module, input_shape: tuple[int, ...], dtype: mx.Dtype = mx.float32) -> Summary:
    """Run the model on one sample of zeros, lazily: shapes come out, no arithmetic is done."""
    from .graph import Variable
    from .training.modes import modes_restored
    from .walk import ancestors

    if not isinstance(input_shape, (tuple, list)) or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise ValueError(f"summary: expected the shape of one sample, such as (2,) or (28, 28, 1), got {input_shape!r}")
    paths = {id(module): path for path, module in model.named_modules()}
    parameters = list(model.parameters())
    summary = Summary(
        title=type(model).__name__,
        input_shape=tuple(input_shape),
        parameters=sum(p.size for p in parameters),
        trainable=sum(p.size for p in parameters if p.trainable),
    )
    with modes_restored(model):
        model.eval()
        output = model(Variable(mx.zeros((1, *input_shape), dtype=dtype)))
    counted: set[int] = set()
    for node in ancestors(output if isinstance(output, tuple) else [output]):
        if node.module is None:
            continue
        fresh = [p for p in node.module.parameters() if id(p) not in counted]
        counted.update(id(p) for p in fresh)
        input_value = node.inputs[0].value
        summary.rows.append(
            Row(
                name=paths.get(id(node.module)) or type(node.module).__name__.lower(),
                layer=node.module.title(),
                output_shape=node.value.shape[1:],
                parameters=sum(p.size for p in fresh),
                multiply_adds=node.module.multiply_adds(getattr(input_value, "shape", ()), node.value.shape),
            )
        )
    return summary
