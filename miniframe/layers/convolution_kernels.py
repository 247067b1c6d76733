"""The three products behind every convolution, and the ways in which they are fast.

With the windows of an image written as rows, X (windows, KH KW C), and the filters as rows, W (O, KH KW C), a
convolution is a matrix product, and so are its two derivatives:

    Y = X Wᵀ          dW = dYᵀ X          dX = dY W, every window's share added where the window lay

Which form is fastest was found by measuring; all of them give the same numbers. With few channels, most of the time
goes into moving pixels. Then a few windows that are neighbours in a row are taken as one wider window with that many
times the filters (``neighbours``): the pixels that they share are moved once, and some products are with zero.

All that is for CPUs. Both derivatives are convolutions, too, and a GPU computes them as such: of few operations, and
without rows, which need as many times the memory of the image as a window has pixels.
"""

from __future__ import annotations

import math
from functools import partial

import mlx.core as mx

from ..backend.machine import on_cpu
from ..core.sums import MANY as LONG
from ..core.sums import products, total
from . import shifted_products
from .later import after
from .pieces import pieces, put_together
from .transformable import transforming
from .windows import Pair, Window

WIDE, MANY = 32, 500  # channels and windows from which on products of shifted views beat moving one product's results
NARROW = 16  # channels below which a bias is added to whole rows of pixels
MOVE = 64  # floating-point operations of a product in the time that moving one number takes
PIXELS = Window((1, 1))  # the one that sees each pixel by itself
LARGE, HUGE = 2**20, 2**26  # bytes of a padded image, and of rows, that are made twice rather than kept for backward
GAIN = 0.85  # the share of the cost that may remain for neighbours to be worth it


def windows_as_rows(x: mx.array, window: Window) -> mx.array:
    """(N, H, W, C) -> (N, OH, OW, KH KW C): the pixels under each window, copied side by side."""
    if transforming():
        return mx.concatenate(window.shifted(x), axis=-1)
    oh, ow = window.output_size(*x.shape[1:3])
    # MLX's strided views need pixels without gaps: what padding makes, and otherwise a copy of an x that has some
    n, h, w, c = (x := window.pad(x) if window.padded else mx.contiguous(x)).shape
    (sv, sh), (dv, dh) = window.stride, window.dilation
    views = mx.as_strided(x, (n, oh, ow, *window.kernel, c), (h * w * c, sv * w * c, sh * c, dv * w * c, dh * c, 1))
    return views.reshape(n, oh, ow, -1)


def convolve(x: mx.array, weight: mx.array, window: Window, groups: int = 1) -> mx.array:
    """Y = X Wᵀ. (N, H, W, C), (O, KH, KW, C / groups) -> (N, OH, OW, O)."""
    if x.dtype == mx.float64 or _slow_in_mlx(window, groups):  # MLX rounds float64 to single precision
        return _by_rows(x, weight, window, groups)
    shifting = x.dtype == mx.float32 and shifted_products.pay(x.shape, window)
    if _divisible(window) and len(parts := pieces(x.shape, window, 1 if shifting else None)) > 1:
        form = shifted_products.convolved if shifting else convolve
        return put_together([form(part.of(x), weight, part.window) for part in parts], parts)
    if shifting:
        return shifted_products.convolved(x, weight, window)
    if x.dtype != mx.float32 and on_cpu():  # of other types, MLX convolves number by number
        return _by_rows(x, weight, window, groups)
    oh, ow = window.output_size(*x.shape[1:3])
    count = neighbours(ow, weight.shape, window, groups)
    if count > 1:  # rows, as the weight gradient takes them: a compiled step makes them once for both
        rows, filters = windows_as_rows(x, window.joined(count)), _joined(weight, window, count)
        return (rows @ filters.reshape(filters.shape[0], -1).T).reshape(x.shape[0], oh, ow, -1)
    (top, bottom), (left, right) = window.padding
    return mx.conv_general(
        x, weight, window.stride, ([top, left], [bottom, right]), kernel_dilation=window.dilation, groups=groups
    )


def add_bias(y: mx.array, bias: mx.array) -> mx.array:
    """y + b for every pixel, in a form that ``mx.compile`` leaves alone.

    Fused with the activation that follows, the sum would take six times as long; a reshape in between prevents that.
    Few channels make short loops, so there b is added to whole rows of pixels. A GPU is better off fusing them.
    """
    if not on_cpu():
        return y + bias
    n, h, w, c = y.shape
    pixels = w if c < NARROW else 1
    return (y.reshape(-1, pixels * c) + mx.tile(bias, pixels)).reshape(n, h, w, c)


def _divisible(window: Window) -> bool:
    """Whether large batches are taken in pieces: on a CPU, unless mx.vmap or an exported file has to carry them.

    Not where a window may see nothing but padding.
    """
    return on_cpu() and not transforming() and max(window.padding[0]) < window.span[0]


def _slow_in_mlx(window: Window, groups: int) -> bool:
    """On the CPU, MLX convolves groups and dilated windows number by number, some fifty times slower."""
    return (groups > 1 or window.dilation != (1, 1)) and on_cpu()


def _by_rows(x: mx.array, weight: mx.array, window: Window, groups: int) -> mx.array:
    """Y = X Wᵀ, literally, with rows that ``mx.vmap`` can carry: a forward must always allow it."""
    rows = group_first(mx.concatenate(window.shifted(x), axis=-1), window, groups)
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = rows @ filters.swapaxes(1, 2)  # (groups, windows, O / groups)
    return y.swapaxes(0, 1).reshape(x.shape[0], *window.output_size(*x.shape[1:3]), -1)


def group_first(rows: mx.array, window: Window, groups: int) -> mx.array:
    """(N, OH, OW, KH KW C) -> (groups, windows, KH KW C / groups)."""
    positions = window.kernel[0] * window.kernel[1]
    if groups == 1:
        return rows.reshape(1, -1, rows.shape[-1])
    split = rows.reshape(-1, positions, groups, rows.shape[-1] // (positions * groups))
    return split.transpose(2, 0, 1, 3).reshape(groups, split.shape[0], -1)


def weight_gradient(x: mx.array, grad: mx.array, window: Window, groups: int = 1) -> mx.array:
    """dW = dYᵀ X. (N, H, W, C), (N, OH, OW, O) -> (O, KH, KW, C / groups)."""
    if _as_convolutions():
        return _weight_gradient_by_convolving(x, grad, window, groups)
    shifting = groups == 1 and shifted_products.pay(x.shape, window)
    if x.nbytes >= (LARGE if shifting else HUGE / math.prod(window.kernel)):
        (x,) = after([x], [grad])  # padded or as rows it is made anew: from forward on, that would be kept beside x
    if _divisible(window) and len(parts := pieces(x.shape, window, 2 if shifting else None)) > 1:
        form = shifted_products.weight_gradient if shifting else partial(weight_gradient, groups=groups)
        shares = [form(part.of(x), part.of_output(grad), part.window) for part in parts]
        return sum(shares[1:], shares[0])
    if shifting:
        return shifted_products.weight_gradient(x, grad, window)
    shape = (grad.shape[-1], *window.kernel, x.shape[-1] // groups)
    count = neighbours(grad.shape[2], shape, window, groups)
    rows = group_first(windows_as_rows(x, window.joined(count)), window.joined(count), groups)
    grads = grad.reshape(-1, groups, count * shape[0] // groups).swapaxes(0, 1)
    found = products(grads, rows)
    return _parted(found, shape, window, count) if count > 1 else found.reshape(shape)


def input_gradient(grad: mx.array, weight: mx.array, window: Window, size: Pair, groups: int = 1) -> mx.array:
    """dX = dY W, added up. (N, OH, OW, O), (O, KH, KW, C / groups) -> (N, *size, C)."""
    if _as_convolutions():
        return _input_gradient_by_convolving(grad, weight, window, size, groups)
    (n, oh, ow, o), c = grad.shape, weight.shape[-1]
    if window.stride == (1, 1) and groups == 1 and c >= WIDE and n * oh * ow >= MANY:
        if not _divisible(window) or len(parts := pieces((n, *size, c), PIXELS)) == 1:
            return shifted_products.input_gradient(grad, weight, window, size)
        seen = [(part, *window.behind(part.output_rows, oh)) for part in parts]
        images = [
            shifted_products.input_gradient(grad[part.samples, rows], weight, behind, (part.height, size[1]))
            for part, rows, behind in seen
        ]
        return put_together(images, parts)
    count = neighbours(ow, weight.shape, window, groups)
    if count > 1:
        weight, window, ow, o = _joined(weight, window, count), window.joined(count), ow // count, count * o
    kh, kw = window.kernel
    grads = grad.reshape(-1, groups, 1, o // groups).transpose(1, 2, 0, 3)  # (groups, 1, windows, O / groups)
    filters = weight.reshape(groups, o // groups, kh, kw * c).swapaxes(1, 2)  # a product for each row of the window
    shares = (grads @ filters).reshape(groups, kh, n, oh, ow, kw, c)
    shares = shares.transpose(1, 2, 3, 4, 5, 0, 6).reshape(kh, n, oh, ow, kw, groups * c)
    return window.add_shifted(shares, *size)


def neighbours(windows: int, weight: tuple[int, ...], window: Window, groups: int) -> int:
    """How many of the neighbouring windows in a row to join: a divisor of their number, 1 for none.

    Joining B windows moves (KW + (B - 1) s) / B columns for each instead of KW, and multiplies each number moved by
    B O filters instead of O.
    """
    o, _, kw, _ = weight
    if groups > 1 or window.dilation != (1, 1) or transforming() or not on_cpu():
        return 1

    def cost(count: int) -> float:
        return (kw + (count - 1) * window.stride[1]) / count * (MOVE + 2 * count * o)

    best = min((count for count in range(1, windows + 1) if windows % count == 0), key=cost)
    return best if cost(best) < GAIN * cost(1) else 1


def _joined(weight: mx.array, window: Window, count: int) -> mx.array:
    """The filters of the joined window: (O, KH, KW, C) -> (count O, KH, KW + (count - 1) s, C), each shifted by s."""
    step = window.stride[1]
    shifted = [mx.pad(weight, [(0, 0), (0, 0), (k * step, (count - 1 - k) * step), (0, 0)]) for k in range(count)]
    return mx.concatenate(shifted)


def _parted(grad: mx.array, shape: tuple[int, ...], window: Window, count: int) -> mx.array:
    """The adjoint of ``_joined``: what reached the shifted filters, added up in one of their ``shape``."""
    kw, step = shape[2], window.stride[1]
    parts = grad.reshape(count, shape[0], *window.joined(count).kernel, shape[3])
    total = parts[0, :, :, :kw]
    for k in range(1, count):
        total = total + parts[k, :, :, k * step : k * step + kw]
    return total


def _as_convolutions() -> bool:
    """Whether derivatives are computed as convolutions: on a GPU, unless mx.vmap has to carry them."""
    return not on_cpu() and not transforming()


def _weight_gradient_by_convolving(x: mx.array, grad: mx.array, window: Window, groups: int) -> mx.array:
    """dW: the image convolved with dY, samples in the place of channels, and stride and dilation changing places.

    Every number is a sum over all windows of all samples: of very many, in blocks of samples.
    """
    n, h, w, channels = x.shape
    if n > (some := max(1, LONG // max(1, grad.shape[1] * grad.shape[2]))):
        blocks = [(x[k : k + some], grad[k : k + some]) for k in range(0, n, some)]
        return total(mx.stack([_weight_gradient_by_convolving(*block, window, groups) for block in blocks]), axis=0)
    (top, bottom), (left, right) = window.padding
    image = x.reshape(n, h, w, groups, -1).transpose(4, 1, 2, 3, 0).reshape(channels // groups, h, w, -1)
    found = mx.conv_general(
        image, grad.transpose(3, 1, 2, 0), window.dilation, ([top, left], [bottom, right]),
        kernel_dilation=window.stride, groups=groups,
    )  # fmt: skip
    kh, kw = window.kernel
    return found[:, :kh, :kw].transpose(3, 1, 2, 0)  # more, where the last windows leave pixels at the edge unseen


def _input_gradient_by_convolving(
    grad: mx.array, weight: mx.array, window: Window, size: Pair, groups: int
) -> mx.array:
    """dX: dY, spread out by the stride, convolved with the filters turned around."""
    o, kh, kw, c = weight.shape
    filters = weight.reshape(groups, o // groups, kh, kw, c).transpose(0, 4, 2, 3, 1).reshape(-1, kh, kw, o // groups)
    around = [d * (k - 1) for d, k in zip(window.dilation, window.kernel)]
    image = mx.conv_general(
        grad,
        filters,
        1,
        around,
        kernel_dilation=window.dilation,
        input_dilation=window.stride,
        groups=groups,
        flip=True,
    )  # all pixels that any window sees, those of the padding, too
    (top, _), (left, _) = window.padding
    unseen = [max(0, edge + length - seen) for edge, length, seen in zip((top, left), size, image.shape[1:3])]
    image = mx.pad(image, [(0, 0), (0, unseen[0]), (0, unseen[1]), (0, 0)])
    return image[:, top : top + size[0], left : left + size[1]]
