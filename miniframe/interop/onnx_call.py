"""What is written for one call of a layer, and the draft of the ONNX file that all of them go into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Buffer
from ..core.node import Node
from ..core.words import numbered
from .layouts import as_numpy

BATCH = 1009  # a prime that no layer's size contains, to tell the batch apart
Shape = tuple[int, ...]


@dataclass
class Operator:
    """One node of the file."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    name: str
    attributes: dict[str, Any]


class Draft:
    """Operators in order, and constants by name.

    Args:
        batch: the number that stands for the batch's length in shapes; None for a file of one length.
        paths: the path of every cell in the model, by its id.
    """

    def __init__(self, batch: int | None, paths: dict[int, str]) -> None:
        self.batch, self.paths = batch, paths
        self.nodes: list[Operator] = []
        self.constants: dict[str, np.ndarray] = {}
        self.tensors: dict[int, Any] = {}  # the name of every node's value, by the node's id; several for a tuple
        self.cells: dict[int, dict[Shape, str]] = {}  # of every cell, by the order of its axes
        self.taken: dict[str, None] = {}

    def free(self, name: str) -> str:
        """The name, or with a number behind it if it is taken."""
        found = numbered(name, self.taken, "_")
        self.taken[found] = None
        return found

    def node(self, kind: str, inputs: Sequence[str], outputs: list[str], **attributes: Any) -> list[str]:
        self.nodes.append(Operator(kind, list(inputs), outputs, outputs[0], attributes))
        return outputs

    def constant(self, name: str, array: np.ndarray) -> str:
        found = self.free(name)
        self.constants[found] = array
        return found

    def is_batch(self, size: int) -> bool:
        return self.batch is not None and size > 0 and size % self.batch == 0

    def numpy_type(self, dtype: mx.Dtype) -> np.dtype:
        name = str(dtype).split(".")[-1]
        if name == "bfloat16":
            raise ValueError("of bfloat16, which NumPy has not; use float32 or float16")
        return np.dtype("bool" if name == "bool_" else name)


class Call:
    """One call of a layer.

    Attributes:
        layer: what is called.
        name: of the call; its result is called so.
        x: the tensors it is called on; a number where it is called on a number.
        shapes, dtypes: theirs.
        shape, dtype: those of the result; a tuple of them for several.
    """

    def __init__(self, draft: Draft, name: str, node: Node) -> None:
        self.draft, self.name, self.node = draft, name, node
        self.layer: Any = node.module
        self.first = len(draft.nodes)
        self.x: list[Any] = [self._given(source, k) for k, source in enumerate(node.inputs)]
        self.shapes: list[Shape] = [tuple(getattr(source.value, "shape", ())) for source in node.inputs]
        self.dtypes = [getattr(source.value, "dtype", None) for source in node.inputs]
        several = isinstance(node.value, tuple)
        self.shape: Any = tuple(tuple(v.shape) for v in node.value) if several else tuple(node.value.shape)
        self.dtype = None if several else node.value.dtype

    def _given(self, source: Node, k: int) -> Any:
        if id(source) in self.draft.tensors:
            return self.draft.tensors[id(source)]
        if isinstance(source.value, (int, float)):
            return source.value
        return self.draft.constant(f"{self.name}/constant", as_numpy(source.value))

    # ---------------------------------------------------------------- what formulas are written with

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add an operator; returns the name of its result, or a list of several."""
        names = [self.draft.free(f"{self.name}/{kind.lower()}") for _ in range(outputs)]
        self.draft.node(kind, inputs, names, **attributes)
        return names[0] if outputs == 1 else names

    def numbers(self, values: Any, dtype: Any = np.int64, what: str = "numbers") -> str:
        """A constant: axes, sizes, or a table."""
        array = np.asarray(values, dtype=dtype)
        if any(self.draft.is_batch(size) for size in array.shape):
            raise ValueError("with a constant as long as the batch")
        return self.draft.constant(f"{self.name}/{what}", array)

    def like(self, values: Any, k: int = 0) -> str:
        """A constant of the type of input ``k``."""
        dtype = self.dtypes[k]
        assert dtype is not None
        return self.numbers(values, self.draft.numpy_type(dtype), "constant")

    def cell(self, cell: Buffer, order: Sequence[int] | None = None) -> str:
        """A parameter or buffer under its own name, with its axes in this order; in several orders if need be."""
        array, path = as_numpy(cell.value), self.draft.paths.get(id(cell)) or f"{self.name}/parameter"
        axes = tuple(range(array.ndim) if order is None else order)
        written = self.draft.cells.setdefault(id(cell), {})
        if axes not in written:
            written[axes] = self.draft.constant(path, array.transpose(axes))
        return written[axes]

    def cast(self, tensor: Any, before: Any, after: mx.Dtype) -> str:
        """The tensor, or a number, in another type."""
        if isinstance(tensor, (int, float)):
            return self.numbers(tensor, self.draft.numpy_type(after), "constant")
        if before == after:
            return str(tensor)
        kind = np.dtype(self.draft.numpy_type(after))
        return str(self.op("Cast", tensor, to=TENSOR_TYPES[kind.name]))

    def alike(self, dtype: mx.Dtype | None = None) -> list[str]:
        """All inputs in one type, that of the result by default."""
        dtype = self.dtype if dtype is None else dtype
        assert dtype is not None
        return [self.cast(x, before, dtype) for x, before in zip(self.x, self.dtypes)]

    def reshape(self, tensor: str, before: Shape, after: Sequence[int]) -> str:
        """The tensor in another shape; the batch stays what it is."""
        sizes = []
        for axis, size in enumerate(after):
            if self.draft.is_batch(size):
                size = 0 if axis < len(before) and before[axis] == size else -1
            sizes.append(size)
        if sizes.count(-1) > 1:
            raise ValueError("which needs the batch's length twice")
        return str(self.op("Reshape", tensor, self.numbers(sizes, what="shape")))

    def turn(self, tensor: str, *order: int) -> str:
        """The axes in another order."""
        return str(self.op("Transpose", tensor, perm=list(order)))

    def channels_first(self, tensor: str, ndim: int) -> str:
        """(N, ..., C) -> (N, C, ...)."""
        return self.turn(tensor, 0, ndim - 1, *range(1, ndim - 1)) if ndim > 2 else tensor

    def channels_last(self, tensor: str, ndim: int) -> str:
        """(N, C, ...) -> (N, ..., C)."""
        return self.turn(tensor, 0, *range(2, ndim), 1) if ndim > 2 else tensor

    def finish(self, result: Any) -> Any:
        """Give the result the call's name; ``name[0]``, ``name[1]`` if there are several."""
        if isinstance(result, list):
            return [self._named(tensor, f"{self.name}[{k}]") for k, tensor in enumerate(result)]
        return self._named(result, self.name)

    def _named(self, tensor: str, name: str) -> str:
        if tensor in self.draft.constants:
            return tensor
        name = self.draft.free(name)
        for node in self.draft.nodes[self.first :]:
            if tensor in node.outputs:
                node.outputs[node.outputs.index(tensor)] = name
                node.name = node.outputs[0]
                for later in self.draft.nodes[self.first :]:
                    later.inputs = [name if given == tensor else given for given in later.inputs]
                return name
        return self.draft.node("Identity", [tensor], [name])[0]


TENSOR_TYPES = {  # the numbers of ONNX' types
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip
