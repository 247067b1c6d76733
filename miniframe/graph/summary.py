"""The table that ``model.summary(input_shape)`` prints: shapes, parameters and work, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple
from ..core.module import Module
from ..core.tables import html_table, sample_shape, table
from ..core.teach import teach
from ..core.untouched import untouched
from .passes import Pass


@dataclass
class Row:
    """One layer call: its path in the model, its description, its output's shape for one sample, and its cost.

    For a layer with several outputs, ``output_shape`` is a tuple of shapes. A parameter that the model's forward uses
    itself has no batch in front: ``batched`` is False, and ``output_shape`` its own.
    """

    name: str
    layer: str
    output_shape: tuple[Any, ...]
    parameters: int
    multiply_adds: int
    batched: bool = True


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

    def _lines(self) -> list[tuple[str, ...]]:
        head = ("name", "layer", "output shape", "parameters", "multiply-adds")
        body = [
            (row.name, row.layer, _shapes(row), f"{row.parameters:,}", f"{row.multiply_adds:,}") for row in self.rows
        ]
        return [head, *body, ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}")]

    def _words(self) -> list[str]:
        frozen = self.parameters - self.trainable
        return [f"{self.parameters:,} parameters, {frozen:,} of them frozen"] if frozen else []

    def _title(self) -> str:
        return f"{self.title}, input {sample_shape(self.input_shape)}"

    def __repr__(self) -> str:
        first, *middle, last = table(self._lines(), numbers=2)
        rule = "-" * len(first)
        return "\n".join([self._title(), rule, first, rule, *middle, rule, last, *self._words()])

    def _repr_html_(self) -> str:
        return html_table(self._lines(), numbers=2, title=self._title(), words=self._words())


def _shapes(row: Row) -> str:
    """The shape of an output, or those of several."""
    shape = row.output_shape
    if not row.batched:
        return str(shape)
    several = bool(shape) and isinstance(shape[0], tuple)
    return ", ".join(sample_shape(one) for one in shape) if several else sample_shape(shape)


def summary(model: Module, input_shape: tuple[int, ...] | None = None, dtype: mx.Dtype = mx.float32) -> Summary:
    """A table of every layer's output shape, parameters and multiply-adds for one sample.

    Args:
        input_shape: the shape of one sample, without the batch: ``(2,)`` or ``(28, 28, 1)``.
        dtype: of the input; ``mx.int32`` for a model that starts with an Embedding.

    The result prints as the table and holds the numbers: ``rows``, ``parameters``, ``multiply_adds``. The model sees
    one sample of zeros, lazily: shapes come out, no arithmetic is done.
    """
    if not isinstance(input_shape, (tuple, list)) or not all(isinstance(n, int) and n > 0 for n in input_shape):
        got = "nothing" if input_shape is None else repr(input_shape)
        raise ValueError(f"summary: expected the shape of one sample, such as (2,) or (28, 28, 1), got {got}")
    parameters = list(model.parameters())
    found = Summary(
        title=type(model).__name__,
        input_shape=tuple(input_shape),
        parameters=sum(p.size for p in parameters),
        trainable=sum(p.size for p in parameters if p.trainable),
    )
    with untouched(model):
        model.eval()
        seen = Pass(model, mx.zeros((1, *input_shape), dtype=dtype), "summary")
    counted: set[int] = set()
    for name, node in seen.layers():
        assert node.module is not None
        fresh = [p for p in node.module.parameters() if id(p) not in counted]
        counted.update(id(p) for p in fresh)
        shapes = tuple(part.shape for part in as_tuple(node.value))
        samples = tuple(shape[1:] if node.inputs else shape for shape in shapes)
        given = node.inputs[0].value if node.inputs else None
        row = Row(
            name=name,
            layer=node.module.title(),
            output_shape=samples if isinstance(node.value, tuple) else samples[0],
            parameters=sum(p.size for p in fresh),
            multiply_adds=node.module.multiply_adds(getattr(given, "shape", ()), shapes[0]),
            batched=bool(node.inputs),
        )
        found.rows.append(row)
    return found


def as_html(model: Module) -> str:
    """A notebook's picture of a model: its layers with the shapes and the number of their parameters."""
    rows = []
    for name, module in model.named_modules():
        own = {path: p for path, p in module.named_parameters() if "." not in path}
        if own or len(list(module.modules())) == 1:  # not of models whose layers are listed anyway
            shapes = ", ".join(f"{path} {p.shape}" for path, p in own.items())
            rows.append((name, module.title(), shapes, f"{sum(p.size for p in own.values()):,}"))
    parameters = list(model.parameters())
    frozen = sum(p.size for p in parameters if not p.trainable)
    words = f"{sum(p.size for p in parameters):,} parameters" + (f", {frozen:,} of them frozen" if frozen else "")
    head = ("name", "layer", "weights", "parameters")
    return html_table([head, *rows], numbers=1, title=type(model).__name__, words=[words])


teach(Module, summary, _repr_html_=as_html)
