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

    def add_shifted(self, pieces: Sequence[mx.array], height: int, width: int) -> mx.array:
        """The adjoint of ``shifted``: KH KW pieces (N, OH, OW, C), each added to the pixels that it came from.

        A window that moves in steps of s touches, from one position, only every s-th pixel. So the image falls into
        s x s coarser grids, each the sum of a few pieces; in the end the grids are interleaved.
        """
        (sv, sh), (rows, columns) = self.stride, self.padded_size(height, width)
        grid_size = -(-rows // sv), -(-columns // sh)
        grids: dict[Pair, mx.array] = {}
        for (i, j), piece in zip(self.positions(), pieces):
            (di, pi), (dj, pj) = divmod(i, sv), divmod(j, sh)
            below, right = grid_size[0] - di - piece.shape[1], grid_size[1] - dj - piece.shape[2]
            piece = mx.pad(piece, [(0, 0), (di, below), (dj, right), (0, 0)]) if di or dj or below or right else piece
            grids[pi, pj] = grids[pi, pj] + piece if (pi, pj) in grids else piece
        image = self._interleave(grids, pieces[0], grid_size)
        top, left = self.padding[0][0], self.padding[1][0]
        return image[:, top : top + height, left : left + width]

    def _interleave(self, grids: dict[Pair, mx.array], like: mx.array, size: Pair) -> mx.array:
        """One image whose pixel (s a + p, s b + q) is pixel (a, b) of grid (p, q)."""
        if self.stride == (1, 1):
            return grids[0, 0]
        (n, *_, c), (sv, sh) = like.shape, self.stride
        empty = mx.zeros((n, *size, c), dtype=like.dtype)
        stacked = mx.stack([grids.get(phase, empty) for phase in product(range(sv), range(sh))], axis=3)
        image = stacked.reshape(n, *size, sv, sh, c).transpose(0, 1, 3, 2, 4, 5)
        return image.reshape(n, size[0] * sv, size[1] * sh, c)
