"""Sliding windows over images: what convolution and pooling share, with its adjoint.

A window of KH x KW positions slides over an image in steps of ``stride``. Seen from one position (i, j) of the window,
the image is a shifted, strided view of itself: ``shifted`` returns these KH KW views. Whatever is sent back along
them is added up where it came from by ``add_shifted``, the adjoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import mlx.core as mx

Pair = tuple[int, int]


def pair(value: Any, name: str, where: str, least: int = 1) -> Pair:
    """(vertical, horizontal) from one number for both or from two.

    >>> pair(3, "kernel_size", "Conv2d"), pair((1, 2), "stride", "Conv2d")
    ((3, 3), (1, 2))
    """
    both = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, Sequence) else ()
    if len(both) != 2 or not all(isinstance(n, int) and n >= least for n in both):
        raise ValueError(f"{where}: expected {name} as a number >= {least} or a pair of them, got {value!r}")
    return both


def times(size: Pair) -> str:
    """A pair as people write it.

    >>> times((3, 5))
    '3x5'
    """
    return f"{size[0]}x{size[1]}"


@dataclass(frozen=True)
class Window:
    """How a window slides over an image.

    Args:
        kernel: (KH, KW), the positions in the window.
        stride: steps of the window, vertical and horizontal.
        padding: rows added ((above, below), (left, right)).
        dilation: distance between neighbouring positions of the window.

    Shapes: images are (N, H, W, C), H and W without the padding; OH and OW count where the window fits.

    >>> window = Window((2, 2), stride=(2, 2))
    >>> window.output_size(5, 4)
    (2, 2)
    >>> window.shifted(mx.arange(16).reshape(1, 4, 4, 1))[0].reshape(2, 2).tolist()
    [[0, 2], [8, 10]]
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    @property
    def span(self) -> Pair:
        """The rows and columns that the window covers, from its first position to its last."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    @property
    def padded(self) -> bool:
        return self.padding != ((0, 0), (0, 0))

    def output_size(self, height: int, width: int) -> Pair:
        """(OH, OW); not positive where the window is larger than the padded image."""
        rows, columns = self.padded_size(height, width)
        return (rows - self.span[0]) // self.stride[0] + 1, (columns - self.span[1]) // self.stride[1] + 1

    def padded_size(self, height: int, width: int) -> Pair:
        return height + sum(self.padding[0]), width + sum(self.padding[1])

    def pad(self, x: mx.array, value: float = 0) -> mx.array:
        return mx.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=value) if self.padded else x

    def positions(self) -> Iterator[Pair]:
        """(row, column) of the window's positions relative to its first, row by row."""
        for i, j in product(range(self.kernel[0]), range(self.kernel[1])):
            yield i * self.dilation[0], j * self.dilation[1]

    def shifted(self, x: mx.array, fill: float = 0) -> list[mx.array]:
        """KH KW views (N, OH, OW, C) of the image padded with ``fill``: what each position of the window sees."""
        (oh, ow), (sv, sh) = self.output_size(*x.shape[1:3]), self.stride
        x = self.pad(x, fill)
        return [x[:, i : i + sv * (oh - 1) + 1 : sv, j : j + sh * (ow - 1) + 1 : sh] for i, j in self.positions()]

    def add_shifted(self, shares: mx.array, height: int, width: int) -> mx.array:
        """The adjoint of ``shifted``: what every window sends back, each share added to the pixel it came from.

        Rows and columns are treated one after the other, so that KH + KW pieces are moved instead of KH KW.

        Args:
            shares: (N, OH, KH, OW, KW, C), for each window and each of its positions.
            height, width: of the image, without the padding.
        """
        rows, columns = self.padded_size(height, width)
        stripes = _add_overlapping(shares, 3, self.stride[1], self.dilation[1], columns)  # (N, OH, KH, W, C)
        image = _add_overlapping(stripes, 1, self.stride[0], self.dilation[0], rows)  # (N, H, W, C)
        top, left = self.padding[0][0], self.padding[1][0]
        return image[:, top : top + height, left : left + width] if self.padded else image


def _add_overlapping(shares: mx.array, axis: int, stride: int, dilation: int, length: int) -> mx.array:
    """Lay windows of K positions over a line in steps of ``stride`` and add where they overlap.

    A window that moves in steps of s touches, from one position, only every s-th pixel. So the line falls into s
    coarser ones, each the sum of a few shifted pieces; in the end they are interleaved.

    Shapes: (..., count, K, ...) with count at ``axis`` -> (..., length, ...).
    """
    count, positions = shares.shape[axis : axis + 2]
    if positions == stride and dilation == 1:  # windows lie side by side
        return _fit(_merge(shares, axis), axis, length)
    coarse = -(-length // stride)
    lines: dict[int, mx.array] = {}
    for k in range(positions):
        shift, phase = divmod(k * dilation, stride)
        piece = _fit(shares[(slice(None),) * (axis + 1) + (k,)], axis, coarse, shift)
        lines[phase] = lines[phase] + piece if phase in lines else piece
    if stride == 1:
        return lines[0]
    empty = mx.zeros_like(lines[0])
    together = mx.stack([lines.get(phase, empty) for phase in range(stride)], axis=axis + 1)
    return _fit(_merge(together, axis), axis, length)


def _merge(x: mx.array, axis: int) -> mx.array:
    """Make one axis of ``axis`` and the next."""
    return x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])


def _fit(x: mx.array, axis: int, length: int, start: int = 0) -> mx.array:
    """``x`` from ``start`` on along a line of zeros of this length; what is longer is cut."""
    missing = length - start - x.shape[axis]
    if missing < 0:
        return x[(slice(None),) * axis + (slice(0, length - start),)]
    widths = [(start, missing) if k == axis else (0, 0) for k in range(x.ndim)]
    return mx.pad(x, widths) if start or missing else x
