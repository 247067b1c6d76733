"""Changing an image's height and width: padding it with zeros, and resampling it to another size.

Resampling is linear and treats rows and columns alike but separately: two small matrices describe it, one for the
rows and one for the columns, and its derivative is the same with the matrices transposed. Repeating pixels needs no
arithmetic at all, so that it is exact on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.checks import is_whole, shown
from ..core.module import Module
from .convolution import check_image
from .windows import Pair, pair, times


class ZeroPad2d(Module):
    """Add rows and columns of zeros around an image. dx = dy without them.

    Args:
        padding: one number for all sides, or (left, right, top, bottom), PyTorch's order.

    Shapes: (N, H, W, C) -> (N, top + H + bottom, left + W + right, C).

    >>> ZeroPad2d((1, 0, 0, 2))(mx.ones((1, 4, 4, 3))).shape
    (1, 6, 5, 3)
    """

    samples_apart = True

    def __init__(self, padding: int | Sequence[int]) -> None:
        sides: Any = (padding,) * 4 if is_whole(padding) else tuple(padding) if isinstance(padding, Sequence) else ()
        if len(sides) != 4 or not all(is_whole(side) and side >= 0 for side in sides):
            raise ValueError(f"ZeroPad2d: expected one number >= 0 or (left, right, top, bottom), got {shown(padding)}")
        self.left, self.right, self.top, self.bottom = sides

    def settings(self) -> str:
        return f"left {self.left}, right {self.right}, top {self.top}, bottom {self.bottom}"

    def forward(self, x: mx.array) -> mx.array:
        check_image(self, x)
        self.saved = x.shape
        return mx.pad(x, [(0, 0), (self.top, self.bottom), (self.left, self.right), (0, 0)])

    def backward(self, grad_output: mx.array) -> mx.array:
        _, height, width, _ = self.saved
        return grad_output[:, self.top : self.top + height, self.left : self.left + width]


class _Resample2d(Module):
    """What AdaptiveAvgPool2d and Upsample2d share: y = R x Cᵀ for every channel, dx = Rᵀ dy C."""

    def matrices(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """R (OH, H) and C (OW, W) for an image of this size."""
        raise NotImplementedError

    def forward(self, x: mx.array) -> mx.array:
        check_image(self, x)
        rows, columns = (mx.array(matrix, dtype=x.dtype) for matrix in self.matrices(x.shape[1], x.shape[2]))
        self.saved = rows, columns
        return _along_both(x, rows, columns)

    def backward(self, grad_output: mx.array) -> mx.array:
        rows, columns = self.saved
        return _along_both(grad_output, rows.T, columns.T)


class AdaptiveAvgPool2d(_Resample2d):
    """The mean over a grid of OH x OW regions that covers the image, whatever its size.

    Region i of n along an axis of length L goes from ⌊i L / n⌋ to ⌈(i + 1) L / n⌉, as in PyTorch; neighbours may
    share a row.

    Args:
        output_size: one number or (OH, OW).

    Shapes: (N, H, W, C) -> (N, OH, OW, C).

    >>> AdaptiveAvgPool2d(2)(mx.arange(9, dtype=mx.float32).reshape(1, 3, 3, 1)).reshape(2, 2).tolist()
    [[2.0, 3.0], [5.0, 6.0]]
    """

    samples_apart = True

    def __init__(self, output_size: int | Pair) -> None:
        self.output_size = pair(output_size, "output_size", "AdaptiveAvgPool2d")

    def settings(self) -> str:
        return times(self.output_size)

    def matrices(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        return _averages(height, self.output_size[0]), _averages(width, self.output_size[1])


class Upsample2d(_Resample2d):
    """Enlarge an image by a whole factor: repeat its pixels, or interpolate between them.

    Args:
        scale: the factor, one number or (vertical, horizontal); 2 by default.
        mode: "nearest" (each pixel becomes a block) or "bilinear" (weighted by distance between pixel centres, as in
            PyTorch with align_corners=False).

    Shapes: (N, H, W, C) -> (N, scale H, scale W, C).

    >>> Upsample2d(2)(mx.array([[1.0, 2.0]]).reshape(1, 1, 2, 1)).reshape(2, 4).tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """

    samples_apart = True

    def __init__(self, scale: int | Pair = 2, mode: str = "nearest") -> None:
        self.scale = pair(scale, "scale", "Upsample2d")
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f'Upsample2d: expected mode "nearest" or "bilinear", got {shown(mode)}')
        self.mode = mode

    def settings(self) -> str:
        return f"{times(self.scale)}, {self.mode}"

    def matrices(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        return _interpolations(height, self.scale[0]), _interpolations(width, self.scale[1])

    def forward(self, x: mx.array) -> mx.array:
        if self.mode == "bilinear":
            return super().forward(x)
        check_image(self, x)
        self.saved = x.shape
        return mx.repeat(mx.repeat(x, self.scale[0], axis=1), self.scale[1], axis=2)

    def backward(self, grad_output: mx.array) -> mx.array:
        if self.mode == "bilinear":
            return super().backward(grad_output)
        (n, h, w, c), (down, right) = self.saved, self.scale
        return grad_output.reshape(n, h, down, w, right, c).sum(axis=(2, 4))  # each pixel's block


def _along_both(x: mx.array, rows: mx.array, columns: mx.array) -> mx.array:
    """R x Cᵀ for every image and channel: (N, H, W, C) -> (N, OH, OW, C)."""
    n, h, w, c = x.shape
    x = (rows @ x.reshape(n, h, w * c)).reshape(-1, w, c)
    return (columns @ x).reshape(n, rows.shape[0], columns.shape[0], c)


def _averages(length: int, regions: int) -> np.ndarray:
    """(regions, length): row i is 1 / size inside region i, else 0."""
    matrix = np.zeros((regions, length))
    for i in range(regions):
        start, stop = i * length // regions, -(-(i + 1) * length // regions)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def _interpolations(length: int, scale: int) -> np.ndarray:
    """(scale length, length): row i weighs the two pixels around the centre of the new one, inside the image."""
    centres = np.clip((np.arange(scale * length) + 0.5) / scale - 0.5, 0, length - 1)
    distances = abs(centres[:, None] - np.arange(length))
    return np.maximum(0, 1 - distances)
