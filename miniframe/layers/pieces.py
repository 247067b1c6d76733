"""A batch of images in pieces, so that the windows of a convolution, written as rows, need little memory at a time.

As rows, windows of 3 x 3 pixels take nine times the memory of their image. Those of a whole batch would be more than
all that a model keeps for its backward; those of a piece stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import mlx.core as mx

from .windows import Window

PIECE = 2**20  # numbers in the rows of a piece


@dataclass(frozen=True)
class Piece:
    """Some samples, and the windows in some rows of their images.

    Attributes:
        samples, rows, output_rows: which samples, which rows of their images, and which of the output.
        window: slides over those rows.
    """

    samples: slice
    rows: slice
    output_rows: slice
    window: Window

    @property
    def height(self) -> int:
        return int(self.output_rows.stop - self.output_rows.start)

    def of(self, x: mx.array) -> mx.array:
        return x[self.samples, self.rows]

    def of_output(self, y: mx.array) -> mx.array:
        return y[self.samples, self.output_rows]


def pieces(shape: Sequence[int], window: Window, copies: int | None = None) -> list[Piece]:
    """A batch (N, H, W, C) in pieces of some ``PIECE`` numbers as rows; small ones in a single piece.

    Args:
        copies: how often each pixel is written; in rows, once for each position of the window.

    >>> [(part.samples, part.rows) for part in pieces((2, 128, 128, 16), Window((3, 3), padding=((1, 1), (1, 1))))][:2]
    [(slice(0, 1, None), slice(0, 57, None)), (slice(0, 1, None), slice(55, 113, None))]
    """
    n, height, width, channels = shape
    oh, ow = window.output_size(height, width)
    line = ow * channels * (math.prod(window.kernel) if copies is None else copies)  # of one row of windows
    if n * oh * line <= 2 * PIECE:
        return [Piece(slice(0, n), slice(0, height), slice(0, oh), window)]
    samples, lines = max(1, PIECE // (oh * line)), min(oh, max(1, PIECE // line))
    found = []
    for first, start in product(range(0, n, samples), range(0, oh, lines)):
        stop = min(oh, start + lines)
        rows, part = window.strip(height, start, stop)
        found.append(Piece(slice(first, min(n, first + samples)), rows, slice(start, stop), part))
    return found


def put_together(outputs: Sequence[mx.array], parts: Sequence[Piece]) -> mx.array:
    """The outputs of all pieces as that of the batch."""
    images: dict[int, list[mx.array]] = {}
    for y, part in zip(outputs, parts):
        images.setdefault(part.samples.start, []).append(y)
    return mx.concatenate(
        [mx.concatenate(strips, axis=1) if len(strips) > 1 else strips[0] for strips in images.values()]
    )
