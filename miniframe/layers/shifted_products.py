"""The three products of a convolution at stride 1, from shifted views of a long list of pixels: nothing is moved.

With the pixels of all padded images in one list, row after row, a window's position (i, j) sees the list from
i · width + j on. So the convolution is a sum over the positions of products: a view of the list times the filters'
numbers at that position. A few windows too many are computed, those that reach from the end of one row of pixels into
the next, and are cut off. With many channels the products are large, and faster than moving all windows into rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    """Y = Σ X shifted by (i, j) times the filters' position (i, j)."""
    (oh, ow), (n, rows, columns, c) = window.output_size(*x.shape[1:3]), (x := window.pad(x)).shape
    y = _summed(
        _shifted_lists(x.reshape(-1, c), columns, window), weight.reshape(len(weight), -1, c).transpose(1, 2, 0)
    )
    return mx.pad(y, [(0, n * rows * columns - len(y)), (0, 0)]).reshape(n, rows, columns, -1)[:, :oh, :ow]


def weight_gradient(x: mx.array, grad: mx.array, window: Window) -> mx.array:
    """dW at (i, j) = (X shifted by (i, j))ᵀ dY."""
    _, rows, columns, c = (x := window.pad(x)).shape
    grads = _as_list(grad, rows, columns)
    lists = _shifted_lists(x.reshape(-1, c), columns, window)
    found = mx.stack([products(seen, grads[: len(seen)]) for seen in lists])
    return found.transpose(2, 0, 1).reshape(-1, *window.kernel, c)


def input_gradient(grad: mx.array, weight: mx.array, window: Window, size: Pair) -> mx.array:
    """dX = Σ dY shifted back by (i, j) times the filters' position (i, j): each pixel gathers its shares."""
    (n, _, _, o), c, (rows, columns) = grad.shape, weight.shape[-1], window.padded_size(*size)
    grads, (i, j) = _as_list(grad, rows, columns), max(window.positions())
    lists = _shifted_lists(mx.pad(grads, [(i * columns + j, 0), (0, 0)]), columns, window)
    image = _summed(lists[::-1], weight.reshape(o, -1, c).swapaxes(0, 1))
    (top, _), (left, _) = window.padding
    return image.reshape(n, rows, columns, c)[:, top : top + size[0], left : left + size[1]]


def _as_list(grad: mx.array, rows: int, columns: int) -> mx.array:
    """dY in the place of each window's first pixel, with zeros where no window begins: (pixels, O)."""
    _, oh, ow, o = grad.shape
    return mx.pad(grad, [(0, 0), (0, rows - oh), (0, columns - ow), (0, 0)]).reshape(-1, o)


def _shifted_lists(pixels: mx.array, columns: int, window: Window) -> list[mx.array]:
    """A list of pixels as each position of the window sees it: views, as long as that of the last one."""
    shifts = [i * columns + j for i, j in window.positions()]
    return [pixels[shift : len(pixels) - shifts[-1] + shift] for shift in shifts]


def _summed(lists: Sequence[mx.array], filters: mx.array) -> mx.array:
    """The sum of the products of each list with its filters."""
    found = lists[0] @ filters[0]
    for seen, these in zip(lists[1:], filters[1:]):
        found = mx.addmm(found, seen, these)
    return found
