"""What can be written with nodes: ``+ - * / @ **``, indexing, ``.sum()`` and the like, each of them a layer call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .layers import arithmetic as ops
from .layers import reductions


class Operators:
    """The operators and methods of a Node. Each makes a layer and calls it, so that nothing else has to know them."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return ops.Add()(self, other)

    def __radd__(self, other: Any) -> Any:
        return ops.Add()(other, self)

    def __sub__(self, other: Any) -> Any:
        return ops.Subtract()(self, other)

    def __rsub__(self, other: Any) -> Any:
        return ops.Subtract()(other, self)

    def __mul__(self, other: Any) -> Any:
        return ops.Multiply()(self, other)

    def __rmul__(self, other: Any) -> Any:
        return ops.Multiply()(other, self)

    def __truediv__(self, other: Any) -> Any:
        return ops.Divide()(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return ops.Divide()(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ops.MatMul()(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.MatMul()(other, self)

    def __pow__(self, exponent: Any) -> Any:
        return ops.Power()(self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return ops.Power()(base, self)

    def __neg__(self) -> Any:
        return ops.Negate()(self)

    def __getitem__(self, index: Any) -> Any:
        return ops.Index(index)(self)

    def __iter__(self) -> Iterator[Any]:
        shape: Any = getattr(self, "shape", None)
        if not shape or shape[0] is None:
            raise TypeError(f"{self!r}: cannot be iterated over, as the length of its first axis is not known")
        return (self[index] for index in range(shape[0]))

    def __mlx_array__(self) -> Any:
        raise TypeError(
            f"{self!r}: MLX cannot compute with a node. Write the node first (node + array, not array + node), and "
            "use its methods or layers instead of mx functions (node.exp(), mf.concatenate([a, b]))"
        )

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        return reductions.Sum(axis, keepdims)(self)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        return reductions.Mean(axis, keepdims)(self)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        return reductions.Max(axis, keepdims)(self)

    def exp(self) -> Any:
        return ops.Exp()(self)

    def log(self) -> Any:
        return ops.Log()(self)

    def sqrt(self) -> Any:
        return ops.Sqrt()(self)

    def reshape(self, *shape: Any) -> Any:
        return ops.ReshapeTo(shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)(self)

    def transpose(self, *axes: int) -> Any:
        return ops.Transpose(axes or None)(self)

    @property
    def T(self) -> Any:
        return ops.Transpose()(self)
