"""Convolutions: one small set of weights applied at every place of an image.

Images are channels-last, (N, H, W, C), and filters (out, KH, KW, in). Both layers here are a few lines around the
three products of ``convolution_kernels``; the transposed convolution is the convolution's derivative, run forwards.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.checks import whole
from ..core.module import Module
from ..core.sums import total
from . import initializers
from .convolution_kernels import add_bias, convolve, input_gradient, weight_gradient
from .windows import Pair, Window, pair, times


class Conv2d(Module):
    """Slide filters over an image: at each place, the weighted sum of the pixels under the window.

        y[n, i, j, o] = b[o] + Σ x[n, s i + d u - p, s j + d v - p, c] w[o, u, v, c]      over u, v, c

    As a matrix product, with the pixels under each window as a row of X: Y = X Wᵀ + b. ``weight`` is
    (out_channels, KH, KW, in_channels / groups), ``bias`` (out_channels,); both start from U(-1/√fan_in, 1/√fan_in),
    fan_in = KH KW in_channels / groups, as PyTorch's do.

    Args:
        in_channels, out_channels: last axis of the input and of the output.
        kernel_size: the window, one number or (KH, KW).
        stride: step of the window, s; 1 by default.
        padding: zeros around the image, p; a number, a pair, "valid" (none, the default) or "same" (as many as keep
            H and W at stride 1; an odd one goes below and to the right, as in PyTorch).
        dilation: distance between the pixels of a window, d; 1 by default.
        groups: into how many groups the channels fall, each convolved on its own; 1 by default.
        bias: whether to add b.

    Shapes: (N, H, W, in_channels) -> (N, OH, OW, out_channels), OH = (H + 2p - d (KH - 1) - 1) // s + 1.

    Raises:
        ValueError: for an input of another number of channels, or smaller than the window.

    >>> Conv2d(3, 7, 3)(mx.zeros((5, 50, 50, 3))).shape
    (5, 48, 48, 7)
    >>> layer = Conv2d(3, 7, 3, padding=1)
    >>> layer(mx.zeros((5, 50, 50, 3))).shape
    (5, 50, 50, 7)
    >>> layer.backward(mx.ones((5, 50, 50, 7))).shape, layer.weight.grad.shape
    ((5, 50, 50, 3), (7, 3, 3, 3))
    """

    samples_apart = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        whole("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                "Conv2d: expected channel numbers that groups divides, "
                f"got in={in_channels}, out={out_channels}, groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        kernel = pair(kernel_size, "kernel_size", "Conv2d")
        dilation, stride = pair(dilation, "dilation", "Conv2d"), pair(stride, "stride", "Conv2d")
        self.padding = padding
        self.window = Window(kernel, stride, _padding(padding, kernel, stride, dilation), dilation)
        shape = (out_channels, *kernel, in_channels // groups)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(initializers.uniform(shape, bound))
        self.bias = Parameter(initializers.uniform((out_channels,), bound)) if bias else None

    def settings(self) -> str:
        window = self.window
        parts = [f"{self.in_channels} -> {self.out_channels}", times(window.kernel)]
        parts += [f"stride {times(window.stride)}"] if window.stride != (1, 1) else []
        parts += [f"padding {self.padding}"] if window.padded else []
        parts += [f"dilation {times(window.dilation)}"] if window.dilation != (1, 1) else []
        parts += [f"groups {self.groups}"] if self.groups > 1 else []
        return ", ".join(parts + ([] if self.bias else ["no bias"]))

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        self.saved = x
        y = convolve(x, self.weight.value, self.window, self.groups)
        return y if self.bias is None else add_bias(y, self.bias.value)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved

        # to the parameters: dW = dYᵀ X over all windows, db = Σ dY over all places
        self.weight.accumulate(weight_gradient(x, grad_output, self.window, self.groups))
        if self.bias is not None:
            self.bias.accumulate(total(total(grad_output.flatten(0, 1), axis=0), axis=0))

        # to the input: dX = dY W, the shares of overlapping windows added
        return input_gradient(grad_output, self.weight.value, self.window, (x.shape[1], x.shape[2]), self.groups)

    def check(self, x: mx.array) -> None:
        check_image(self, x, self.in_channels)
        if min(self.window.output_size(*x.shape[1:3])) < 1:
            raise self.wrong(f"an image of at least {times(self.window.span)} pixels with its padding", x)

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return math.prod(output_shape) * math.prod(self.weight.shape[1:])


class ConvTranspose2d(Module):
    """Paint with filters: every input pixel adds its multiple of a filter to the output. Enlarges by ``stride``.

        y[n, s i + d u - p, s j + d v - p, o] += x[n, i, j, c] w[o, u, v, c]      for all u, v, c;    then y + b

    The derivative of a convolution from y to x, run forwards; its own derivative is that convolution. ``weight`` is
    (out_channels, KH, KW, in_channels), ``bias`` (out_channels,); both start from U(-1/√k, 1/√k), k = KH KW
    out_channels, as PyTorch's do.

    Args:
        in_channels, out_channels: last axis of the input and of the output.
        kernel_size: KH, KW.
        stride: s, by how much the image grows; 1 by default.
        padding: p, pixels cut off all around; 0 by default.
        output_padding: rows and columns added below and to the right, less than the larger of stride and dilation;
            0 by default.
        dilation: d; 1 by default.
        bias: whether to add b.

    Shapes: (N, H, W, in_channels) -> (N, OH, OW, out_channels), OH = (H - 1) s - 2p + d (KH - 1) + output_padding + 1.

    >>> layer = ConvTranspose2d(3, 2, 2, stride=2)
    >>> layer(mx.zeros((1, 4, 5, 3))).shape, layer.backward(mx.zeros((1, 8, 10, 2))).shape
    ((1, 8, 10, 2), (1, 4, 5, 3))
    """

    samples_apart = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
    ) -> None:
        where = "ConvTranspose2d"
        whole(where, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        kernel, stride = pair(kernel_size, "kernel_size", where), pair(stride, "stride", where)
        rows, columns = pair(padding, "padding", where, least=0)
        self.window = Window(kernel, stride, ((rows, rows), (columns, columns)), pair(dilation, "dilation", where))
        self.output_padding = pair(output_padding, "output_padding", where, least=0)
        most = tuple(max(step, apart) for step, apart in zip(stride, self.window.dilation))
        if any(added >= larger for added, larger in zip(self.output_padding, most)):
            expected = f"expected output_padding < {most}, the larger of stride and dilation"
            raise ValueError(f"{where}: {expected}, got {self.output_padding}")
        bound = 1 / math.sqrt(math.prod(kernel) * out_channels)
        self.weight = Parameter(initializers.uniform((out_channels, *kernel, in_channels), bound))
        self.bias = Parameter(initializers.uniform((out_channels,), bound)) if bias else None

    def settings(self) -> str:
        (rows, _), (columns, _) = self.window.padding
        parts = [f"{self.in_channels} -> {self.out_channels}", times(self.window.kernel)]
        parts += [f"stride {times(self.window.stride)}"] if self.window.stride != (1, 1) else []
        parts += [f"padding {times((rows, columns))}"] if self.window.padded else []
        parts += [f"output padding {times(self.output_padding)}"] if self.output_padding != (0, 0) else []
        parts += [f"dilation {times(self.window.dilation)}"] if self.window.dilation != (1, 1) else []
        return ", ".join(parts + ([] if self.bias else ["no bias"]))

    def forward(self, x: mx.array) -> mx.array:
        check_image(self, x, self.in_channels)
        size = self.output_size(*x.shape[1:3])
        if min(size) < 1:
            raise self.wrong("an image that is larger than what the padding cuts off", x)
        self.saved = x = self.widened(x)
        y = input_gradient(x, self.filters(), self.window, size)
        return y if self.bias is None else add_bias(y, self.bias.value)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved

        # to the parameters: x and dY trade places with a convolution's output gradient and input
        self.weight.accumulate(weight_gradient(grad_output, x, self.window).transpose(3, 1, 2, 0))
        if self.bias is not None:
            self.bias.accumulate(total(total(grad_output.flatten(0, 1), axis=0), axis=0))

        # to the input: the convolution itself, without the zeros added to it
        rows, columns = self.added()
        return convolve(grad_output, self.filters(), self.window)[:, : x.shape[1] - rows, : x.shape[2] - columns]

    def added(self) -> Pair:
        """How many rows and columns of zeros the input gets: one for each whole stride of output padding."""
        (below, right), (down, across) = self.output_padding, self.window.stride
        return below // down, right // across

    def widened(self, x: mx.array) -> mx.array:
        rows, columns = self.added()
        return mx.pad(x, [(0, 0), (0, rows), (0, columns), (0, 0)]) if rows or columns else x

    def filters(self) -> mx.array:
        """The weights of the convolution from output to input: (in_channels, KH, KW, out_channels)."""
        return self.weight.value.transpose(3, 1, 2, 0)

    def output_size(self, height: int, width: int) -> Pair:
        def size(n: int, axis: int) -> int:
            window = self.window
            return (n - 1) * window.stride[axis] - sum(window.padding[axis]) + window.span[axis]

        return size(height, 0) + self.output_padding[0], size(width, 1) + self.output_padding[1]

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return math.prod(input_shape) * math.prod(self.weight.shape[:3])


def check_image(layer: Module, x: mx.array, channels: int | None = None) -> None:
    """Raise unless x is (N, H, W, channels) of real numbers; ``channels`` None allows any number."""
    if x.ndim != 4 or (channels is not None and x.shape[-1] != channels):
        hint = "a single image needs a batch axis: x[None]" if x.ndim == 3 else ""
        if x.ndim == 4 and x.shape[1] == channels:
            hint = "images are channels-last: x.transpose(0, 2, 3, 1)"
        raise layer.wrong(f"input (batch, height, width, {'channels' if channels is None else channels})", x, hint)
    if x.size == 0:
        raise layer.wrong("at least one image with pixels", x)
    if not is_floating(x):
        raise TypeError(f"{layer.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")


def _padding(padding: Any, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """((above, below), (left, right)) from what the user gave."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f'Conv2d: padding "same" keeps the size at stride 1, got stride {stride}; give a number')
        extra = [d * (k - 1) for d, k in zip(dilation, kernel)]
        return (extra[0] // 2, extra[0] - extra[0] // 2), (extra[1] // 2, extra[1] - extra[1] // 2)
    if isinstance(padding, str):
        raise ValueError(f'Conv2d: expected padding as a number, a pair, "same" or "valid", got {padding!r}')
    rows, columns = pair(padding, "padding", "Conv2d", least=0)
    return (rows, rows), (columns, columns)
