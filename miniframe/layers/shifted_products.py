"""The three products of a convolution at stride 1, from shifted views of a long list of pixels: nothing is moved.

With the pixels of all padded images in one list, row after row, a window's position (i, j) sees the list from
i · width + j on. So the convolution is a sum over the positions of products: a view of the list times the filters'
numbers at that position. A few windows too many are computed, those that reach from the end of one row of pixels into
the next, and are cut off. With many channels the products are large, and faster than moving all windows into rows.
"""

from __future__ import annotations

import math

import mlx.core as mx

from ..backend.machine import on_cpu
from ..core.sums import products
from .transformable import transforming
from .windows import Pair, Window

WIDE, MANY = 32, 2000  # channels and windows from which on this is faster (measured)
SPARE = 1.2  # how many pixels of the padded image there may be for each window


def pay(shape: tuple[int, ...], window: Window) -> bool:
    """Whether products of shifted views beat moving all windows into rows: on a CPU, for many channels and windows.

    At stride 1, that is, and where the windows that the views see beyond each row's last, for nothing, are few.
    """
    n, height, width, channels = shape
    windows, pixels = n * math.prod(window.output_size(height, width)), n * math.prod(window.padded_size(height, width))
    plain = window.stride == (1, 1) and on_cpu() and not transforming()
    return plain and channels >= WIDE and windows >= MANY and pixels <= SPARE * windows


def convolved(x: mx.array, weight: mx.array, window: Window) -> mx.array:
    """Y = Σ X shifted by (i, j) times the filters' position (i, j): nothing is moved, for many channels.

    With the padded image's pixels in one long list, the window's position (i, j) sees it from i · width + j on.
    """
    (oh, ow), (n, rows, columns, c) = window.output_size(*x.shape[1:3]), (x := window.pad(x)).shape
    first, *others = zip(_shifted_lists(x, window), weight.reshape(weight.shape[0], -1, c).transpose(1, 2, 0))
    y = first[0] @ first[1]
    for seen, filters in others:
        y = mx.addmm(y, seen, filters)
    return mx.pad(y, [(0, n * rows * columns - len(y)), (0, 0)]).reshape(n, rows, columns, -1)[:, :oh, :ow]


def weight_gradient(x: mx.array, grad: mx.array, window: Window) -> mx.array:
    """dW at (i, j) = (X shifted by (i, j))ᵀ dY, with zeros in dY where a list goes on behind a row's last window."""
    (oh, ow), (_, rows, columns, c) = window.output_size(*x.shape[1:3]), (x := window.pad(x)).shape
    lists = _shifted_lists(x, window)
    grads = mx.pad(grad, [(0, 0), (0, rows - oh), (0, columns - ow), (0, 0)]).reshape(-1, grad.shape[-1])
    found = mx.stack([products(seen, grads[: len(seen)]) for seen in lists])
    return found.transpose(2, 0, 1).reshape(-1, *window.kernel, c)


def _shifted_lists(x: mx.array, window: Window) -> list[mx.array]:
    """All pixels (pixels, C) as each position of the window sees them: views, as long as the last one reaches."""
    shifts = [i * x.shape[2] + j for i, j in window.positions()]
    pixels = x.reshape(-1, x.shape[-1])
    return [pixels[shift : len(pixels) - shifts[-1] + shift] for shift in shifts]


def input_gradient(grad: mx.array, weight: mx.array, window: Window, size: Pair) -> mx.array:
    """dX at stride 1, for many channels: each pixel gathers its shares, so that nothing has to be moved.

    With dY filled up with zeros to the padded image's size and all pixels in one long list, the window's position
    (i, j) sees the list shifted by i · width + j. A shifted list is a view, and products of views can be summed.
    """
    (n, oh, ow, o), c = grad.shape, weight.shape[-1]
    rows, columns = window.padded_size(*size)
    shifts = [i * columns + j for i, j in window.positions()]
    pixels = mx.pad(grad, [(0, 0), (0, rows - oh), (0, columns - ow), (0, 0)]).reshape(-1, o)
    count = pixels.shape[0]
    pixels = mx.pad(pixels, [(shifts[-1], 0), (0, 0)])
    image = mx.zeros((count, c), dtype=grad.dtype)
    for shift, filters in zip(shifts, weight.reshape(o, -1, c).swapaxes(0, 1)):
        start = shifts[-1] - shift
        image = mx.addmm(image, pixels[start : start + count], filters)
    (top, _), (left, _) = window.padding
    return image.reshape(n, rows, columns, c)[:, top : top + size[0], left : left + size[1]]
