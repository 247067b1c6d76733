"""Sliding windows over images: what convolution and pooling share, with its adjoint.

A window of KH x KW positions slides over an image in steps of ``stride``. Seen from one position (i, j) of the window,
the image is a shifted, strided view of itself: ``shifted`` returns these KH KW views. Whatever is sent back along
them is added up where it came from by ``add_shifted``, the adjoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import mlx.core as mx

from ..core.checks import is_whole, shown

Pair = tuple[int, int]


def pair(value: Any, name: str, where: str, least: int = 1) -> Pair:
    """(vertical, horizontal) from one number for both or from two.

    >>> pair(3, "kernel_size", "Conv2d"), pair((1, 2), "stride", "Conv2d")
    ((3, 3), (1, 2))
    """
    both = (value, value) if is_whole(value) else tuple(value) if isinstance(value, Sequence) else ()
    if len(both) != 2 or not all(is_whole(n) and n >= least for n in both):
        raise ValueError(f"{where}: expected {name} as a number >= {least} or a pair of them, got {shown(value)}")
    return int(both[0]), int(both[1])


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

    def reaching(self, height: int, width: int) -> Window:
        """The same window with as much padding below and to the right as a last, incomplete step needs.

        A window that would begin behind the image and the padding before it is left out, as in PyTorch.

        >>> Window((2, 2), stride=(2, 2)).reaching(5, 4).padding
        ((0, 1), (0, 0))
        """
        sides = []
        for size, span, step, (before, after) in zip((height, width), self.span, self.stride, self.padding):
            room = size + before + after - span
            last = -(-room // step) * step
            last -= step if last >= size + before else 0
            sides.append((before, after + max(last - room, 0)))
        return replace(self, padding=(sides[0], sides[1]))

    def joined(self, count: int) -> Window:
        """``count`` neighbours in a row (without dilation) as one window, which then moves ``count`` steps at once."""
        (kh, kw), (sv, sh) = self.kernel, self.stride
        return replace(self, kernel=(kh, kw + (count - 1) * sh), stride=(sv, count * sh))

    def strip(self, height: int, start: int, stop: int) -> tuple[slice, Window]:
        """The rows of the image under the windows in rows ``start`` to ``stop``, and a window that slides over them.

        >>> Window((3, 3), padding=((1, 1), (1, 1))).strip(8, 0, 4)
        (slice(0, 5, None), Window(kernel=(3, 3), stride=(1, 1), padding=((1, 0), (1, 1)), dilation=(1, 1)))
        """
        first = start * self.stride[0] - self.padding[0][0]
        last = first + (stop - start - 1) * self.stride[0] + self.span[0]
        edges = max(0, -first), max(0, last - height)
        return slice(max(0, first), min(height, last)), replace(self, padding=(edges, self.padding[1]))

    def behind(self, rows: slice, oh: int) -> tuple[slice, Window]:
        """The rows of windows (at stride 1, out of ``oh``) that see these rows of the image, and a window for them.

        >>> Window((3, 3), padding=((1, 1), (1, 1))).behind(slice(4, 8), 8)
        (slice(3, 8, None), Window(kernel=(3, 3), stride=(1, 1), padding=((2, 1), (1, 1)), dilation=(1, 1)))
        """
        top, reach = self.padding[0][0], self.span[0] - 1
        first, last = max(0, rows.start + top - reach), min(oh, rows.stop + top)
        edges = rows.start + top - first, last + reach - rows.stop - top
        return slice(first, last), replace(self, padding=(edges, self.padding[1]))

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

        Columns and rows are treated one after the other, so that KW + KH pieces are moved instead of KH KW.

        Args:
            shares: (KH, N, OH, OW, KW, C), for each row of the window's positions, each window and each column.
            height, width: of the image, without the padding.
        """
        (rows, columns), (sv, sh), (dv, dh) = self.padded_size(height, width), self.stride, self.dilation
        kh, n, oh, ow, kw, c = shares.shape
        if self.kernel == self.stride and self.dilation == (1, 1):  # the windows lie side by side
            image = shares.transpose(1, 2, 0, 3, 4, 5).reshape(n, oh * kh, ow * kw, c)
            image = mx.pad(image, [(0, 0), (0, rows - oh * kh), (0, columns - ow * kw), (0, 0)])
        else:
            blocks = _blocks(shares.reshape(-1, ow, kw, c), 2, sh, dh).reshape(kh * n * oh, ow, -1, sh * c)
            pieces = [blocks[:, :, k] for k in range(blocks.shape[2])]
            stripes = _overlay(pieces, dh if sh == 1 else 1, sh, columns)  # (KH N OH, W, C)
            blocks = _blocks(stripes.reshape(kh, n, oh, -1), 0, sv, dv)  # (Q, sv, N, OH, W C)
            pieces = list(blocks.transpose(0, 2, 3, 1, 4).reshape(-1, n, oh, sv * columns * c))
            image = _overlay(pieces, dv if sv == 1 else 1, sv, rows).reshape(n, rows, columns, c)
        top, left = self.padding[0][0], self.padding[1][0]
        return image[:, top : top + height, left : left + width] if self.padded else image


def _blocks(shares: mx.array, axis: int, stride: int, dilation: int) -> mx.array:
    """(..., K, ...) -> (..., Q, stride, ...): the window's positions in blocks as long as its step.

    A dilated window with a step above 1 is filled up with zeros to one without gaps first; so is the last block.
    """
    span = shares.shape[axis]
    if dilation > 1 and stride > 1:
        span = dilation * (span - 1) + 1
        gaps = mx.zeros_like(shares)
        shares = _merge(mx.stack([shares] + [gaps] * (dilation - 1), axis=axis + 1), axis)
    count = -(-span // stride)
    shares = _fit(shares, axis, count * stride)
    return shares.reshape(*shares.shape[:axis], count, stride, *shares.shape[axis + 1 :])


def _overlay(pieces: list[mx.array], step: int, stride: int, length: int) -> mx.array:
    """Lay windows over a line, piece by piece, each ``step`` blocks further than the one before, and add.

    Arrays of three axes, because MLX moves those much faster than arrays of more.

    Shapes: Q pieces (lines, count, stride C) -> (lines, length, C).
    """
    lines, count, pixels = pieces[0].shape
    if count == 1 and step == 1:  # a single window: its blocks follow each other
        line = mx.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0]
    else:
        whole = -(-length // stride)
        line = _fit(pieces[0], 1, whole)
        for k, piece in enumerate(pieces[1:], start=1):
            line = line + _fit(piece, 1, whole, start=k * step)
    return _fit(line.reshape(lines, -1, pixels // stride), 1, length)


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
