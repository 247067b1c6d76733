"""Pooling: one number for each window of an image, its maximum or its mean. Images are (N, H, W, C)."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from ..core.module import Module
from .convolution import check_image
from .convolution_kernels import NARROW
from .windows import Pair, Window, pair, times


class _Pool2d(Module):
    """What MaxPool2d and AvgPool2d share: the window and its checks."""

    ceil_mode: bool = False

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
    ) -> None:
        where = type(self).__name__
        kernel = pair(kernel_size, "kernel_size", where)
        rows, columns = pair(padding, "padding", where, least=0)
        if 2 * rows > kernel[0] or 2 * columns > kernel[1]:
            raise ValueError(f"{where}: expected padding of at most half the window {kernel}, got {(rows, columns)}")
        step = kernel if stride is None else pair(stride, "stride", where)
        self.window = Window(kernel, step, ((rows, rows), (columns, columns)))
        self.ceil_mode = ceil_mode

    def window_on(self, height: int, width: int) -> Window:
        """The window as it slides over an image of this size."""
        return self.window.reaching(height, width) if self.ceil_mode else self.window

    def settings(self) -> str:
        (rows, _), (columns, _) = self.window.padding
        parts = [times(self.window.kernel)]
        parts += [f"stride {times(self.window.stride)}"] if self.window.stride != self.window.kernel else []
        parts += [f"padding {times((rows, columns))}"] if self.window.padded else []
        return ", ".join(parts + (["ceil_mode"] if self.ceil_mode else []))

    def check(self, x: mx.array) -> None:
        check_image(self, x)
        if min(self.window_on(*x.shape[1:3]).output_size(*x.shape[1:3])) < 1:
            raise self.wrong(f"an image of at least {times(self.window.span)} pixels with its padding", x)


class MaxPool2d(_Pool2d):
    """y = max of x under each window. dx = dy at the maximum; of equal pixels the first, row by row, takes it all.

    The tie rule is PyTorch's. Padding counts as -∞, so it never wins.

    Args:
        kernel_size: the window, one number or (KH, KW).
        stride: its step; by default kernel_size, so that windows do not overlap.
        padding: rows and columns around the image, at most half the window; 0 by default.
        ceil_mode: whether a last window may reach over the lower and right edge, where a whole step no longer fits;
            what lies beyond never wins.

    Shapes: (N, H, W, C) -> (N, OH, OW, C), OH = (H + 2 padding - KH) // stride + 1; rounded up with ceil_mode.

    Raises:
        ValueError: for an input that is not a batch of images, or is smaller than the window.

    >>> x = mx.arange(16, dtype=mx.float32).reshape(1, 4, 4, 1)
    >>> layer = MaxPool2d(2)
    >>> layer(x).reshape(2, 2).tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    >>> layer.backward(mx.ones((1, 2, 2, 1))).reshape(4, 4).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        views = self.window_on(*x.shape[1:3]).shifted(x, fill=-math.inf)
        shape = views[0].shape
        if shape[-1] < NARROW:  # short loops over strided views are slow, so the pixels are copied first
            views = [view.reshape(-1) for view in views]
        y, *others = views
        winner = mx.zeros(y.shape, dtype=mx.uint16)  # which position of the window holds y
        for k, pixels in enumerate(others, start=1):
            winner = mx.maximum(winner, (pixels > y) * mx.array(k, dtype=mx.uint16))  # k grows: the latest is largest
            y = mx.maximum(y, pixels)
        self.saved = winner.reshape(-1), shape, x.shape  # the reshape keeps mx.compile from finding it again each time
        return y.reshape(shape)

    def backward(self, grad_output: mx.array) -> mx.array:
        winner, shape, (_, height, width, channels) = self.saved
        winner = winner.reshape(shape)
        position = mx.arange(math.prod(self.window.kernel), dtype=mx.uint16).reshape(*self.window.kernel, 1, 1, 1, 1)
        if channels < NARROW:  # compare whole images with each position: long loops, but the shares move afterwards
            shares = (grad_output * (winner == position)).transpose(0, 2, 3, 4, 1, 5)
        else:  # the shares arise where they belong
            position = position.reshape(self.window.kernel)[:, None, :, None]
            share = grad_output[:, :, None, :, None] * (winner[:, :, None, :, None] == position)
            shares = share.transpose(2, 0, 1, 3, 4, 5)
        return self.window_on(height, width).add_shifted(shares, height, width)  # from (KH, N, OH, OW, KW, C)


class AvgPool2d(_Pool2d):
    """y = mean of x under each window. dx = dy / (KH KW) for every pixel of the window.

    Zeros of the padding count in the mean, as PyTorch has it by default. Where a window counts fewer pixels than it
    has, at an edge with ``ceil_mode`` or without ``count_include_pad``, their number stands in place of KH KW.

    Args:
        kernel_size: the window, one number or (KH, KW).
        stride: its step; by default kernel_size, so that windows do not overlap.
        padding: rows and columns of zeros around the image, at most half the window; 0 by default.
        ceil_mode: whether a last window may reach over the lower and right edge, where a whole step no longer fits;
            what lies beyond the padding does not count.
        count_include_pad: whether the zeros of the padding count in the mean; True by default.

    Shapes: (N, H, W, C) -> (N, OH, OW, C), OH = (H + 2 padding - KH) // stride + 1; rounded up with ceil_mode.

    >>> AvgPool2d(2)(mx.arange(16, dtype=mx.float32).reshape(1, 4, 4, 1)).reshape(2, 2).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """

    samples_apart = True
    count_include_pad: bool = True

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def settings(self) -> str:
        return super().settings() + ("" if self.count_include_pad else ", padding not counted")

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        found = self.counts(*x.shape[1:3])
        counts = found if isinstance(found, int) else mx.array(found, dtype=x.dtype)
        self.saved = x.shape, counts
        first, *others = self.window_on(*x.shape[1:3]).shifted(x)
        total = first
        for pixels in others:
            total = total + pixels
        return total / counts

    def backward(self, grad_output: mx.array) -> mx.array:
        (n, height, width, c), counts = self.saved
        _, oh, ow, _ = grad_output.shape
        kh, kw = self.window.kernel
        shares = mx.broadcast_to((grad_output / counts)[:, :, :, None], (kh, n, oh, ow, kw, c))
        return self.window_on(height, width).add_shifted(shares, height, width)

    def counts(self, height: int, width: int) -> int | np.ndarray:
        """How many pixels each window counts: one number for all, or (OH, OW, 1) where they differ."""
        if self.count_include_pad and not self.ceil_mode:
            return math.prod(self.window.kernel)
        lines, sizes = [], self.window_on(height, width).output_size(height, width)
        for axis, size in enumerate((height, width)):
            before, after = self.window.padding[axis]
            start = self.window.stride[axis] * np.arange(sizes[axis])
            first, stop = (0, before + size + after) if self.count_include_pad else (before, before + size)
            end = np.minimum(start + self.window.kernel[axis], stop)
            lines.append(end - np.maximum(start, first))
        return (lines[0][:, None] * lines[1])[:, :, None]


class GlobalAvgPool2d(Module):
    """y = mean of each channel over the whole image. dx = dy / (H W) for every pixel.

    Shapes: (N, H, W, C) -> (N, C).

    >>> GlobalAvgPool2d()(mx.ones((5, 7, 7, 3))).shape
    (5, 3)
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        check_image(self, x)
        self.saved = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        _, height, width, _ = shape
        return mx.broadcast_to(grad_output[:, None, None] / (height * width), shape)
