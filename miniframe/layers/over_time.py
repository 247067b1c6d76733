"""Convolution and pooling along time: those of images, on an image with a single row.

Sequences are (N, T, C), the batch in front and the features last. As images they are (N, 1, T, C), and a window of K
steps is one of 1 x K pixels; so the products of convolution_kernels.py and the windows of windows.py serve here, too.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.module import Module
from ..core.sums import total
from . import initializers
from .convolution_kernels import add_bias, convolve, input_gradient, weight_gradient
from .pooling import AvgPool2d, MaxPool2d
from .windows import Window


class Conv1d(Module):
    """Slide filters along a sequence: at each place, the weighted sum of the steps under the window.

        y[n, i, o] = b[o] + Σ x[n, s i + d k - p, c] w[o, k, c]      over k, c

    As a matrix product, with the steps under each window as a row of X: Y = X Wᵀ + b. ``weight`` is (out_channels, K,
    in_channels / groups), ``bias`` (out_channels,); both start from U(-1/√fan_in, 1/√fan_in), fan_in = K in_channels /
    groups, as PyTorch's do.

    Args:
        in_channels, out_channels: last axis of the input and of the output.
        kernel_size: K, the steps of the window.
        stride: step of the window, s; 1 by default.
        padding: zeros at both ends, p; a number, "valid" (none, the default), "same" (as many as keep T at stride 1;
            an odd one goes behind, as in PyTorch) or "causal" (all of them in front, so that no output sees the
            future: WaveNet, van den Oord et al. 2016).
        dilation: distance between the steps of a window, d; 1 by default.
        groups: into how many groups the channels fall, each convolved on its own; 1 by default.
        bias: whether to add b.

    Shapes: (N, T, in_channels) -> (N, OT, out_channels), OT = (T + 2p - d (K - 1) - 1) // s + 1.

    Raises:
        ValueError: for an input of another number of channels, or shorter than the window.

    >>> layer = Conv1d(3, 7, 5, padding="causal")
    >>> layer(mx.zeros((2, 50, 3))).shape
    (2, 50, 7)
    >>> layer.backward(mx.ones((2, 50, 7))).shape, layer.weight.grad.shape
    ((2, 50, 3), (7, 5, 3))
    """

    samples_apart = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                "Conv1d: expected positive channel numbers that groups divides, "
                f"got in={in_channels}, out={out_channels}, groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        kernel, stride = steps(kernel_size, "kernel_size", "Conv1d"), steps(stride, "stride", "Conv1d")
        dilation = steps(dilation, "dilation", "Conv1d")
        self.padding = padding
        ends = _ends(padding, dilation * (kernel - 1), stride)
        self.window = Window((1, kernel), (1, stride), ((0, 0), ends), (1, dilation))
        shape = (out_channels, kernel, in_channels // groups)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(initializers.uniform(shape, bound))
        self.bias = Parameter(initializers.uniform((out_channels,), bound)) if bias else None

    def settings(self) -> str:
        parts = [f"{self.in_channels} -> {self.out_channels}", str(self.window.kernel[1])]
        parts += [f"stride {self.window.stride[1]}"] if self.window.stride[1] > 1 else []
        parts += [f"padding {self.padding}"] if self.window.padded else []
        parts += [f"dilation {self.window.dilation[1]}"] if self.window.dilation[1] > 1 else []
        parts += [f"groups {self.groups}"] if self.groups > 1 else []
        return ", ".join(parts + ([] if self.bias else ["no bias"]))

    def forward(self, x: mx.array) -> mx.array:
        check_sequence(self, x, self.window, self.in_channels)
        self.saved = x
        y = convolve(row(x), row(self.weight.value), self.window, self.groups)
        return (y if self.bias is None else add_bias(y, self.bias.value))[:, 0]

    def backward(self, grad_output: mx.array) -> mx.array:
        x, grad = self.saved, row(grad_output)

        # to the parameters: dW = dYᵀ X over all windows, db = Σ dY over all places
        self.weight.accumulate(weight_gradient(row(x), grad, self.window, self.groups)[:, 0])
        if self.bias is not None:
            self.bias.accumulate(total(grad_output.flatten(0, 1), axis=0))

        # to the input: dX = dY W, the shares of overlapping windows added
        return input_gradient(grad, row(self.weight.value), self.window, (1, x.shape[1]), self.groups)[:, 0]

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return math.prod(output_shape) * math.prod(self.weight.shape[1:])


class _Pool1d(Module):
    """Pooling over images on a sequence as an image with a single row: its forward and its backward, in other words."""

    window: Window

    def settings(self) -> str:
        (_, kernel), (_, stride), (_, (padding, _)) = self.window.kernel, self.window.stride, self.window.padding
        parts = [str(kernel)] + ([f"stride {stride}"] if stride != kernel else [])
        return ", ".join(parts + ([f"padding {padding}"] if padding else []))

    def forward(self, x: mx.array) -> mx.array:
        check_sequence(self, x, self.window)
        y: mx.array = super().forward(row(x))
        return y[:, 0]

    def backward(self, grad_output: mx.array) -> mx.array:
        dx: mx.array = super().backward(row(grad_output))
        return dx[:, 0]


class MaxPool1d(_Pool1d, MaxPool2d):
    """y = max of x under each window of K steps. dx = dy at the maximum; of equal steps the first takes it all.

    The tie rule is PyTorch's. Padding counts as -∞, so it never wins.

    Args:
        kernel_size: K.
        stride: the window's step; by default kernel_size, so that windows do not overlap.
        padding: steps added at both ends, at most half the window; 0 by default.

    Shapes: (N, T, C) -> (N, OT, C), OT = (T + 2 padding - K) // stride + 1.

    Raises:
        ValueError: for an input that is not a batch of sequences, or is shorter than the window.

    >>> layer = MaxPool1d(2)
    >>> layer(mx.array([[[1.0], [3.0], [2.0], [2.0]]])).reshape(-1).tolist()
    [3.0, 2.0]
    >>> layer.backward(mx.ones((1, 2, 1))).reshape(-1).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    samples_apart = True

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__(*_pool(kernel_size, stride, padding, "MaxPool1d"))


class AvgPool1d(_Pool1d, AvgPool2d):
    """y = mean of x under each window of K steps. dx = dy / K for every step of the window.

    Zeros of the padding count in the mean, as PyTorch has it by default.

    Args:
        kernel_size: K.
        stride: the window's step; by default kernel_size, so that windows do not overlap.
        padding: zeros added at both ends, at most half the window; 0 by default.

    Shapes: (N, T, C) -> (N, OT, C), OT = (T + 2 padding - K) // stride + 1.

    >>> AvgPool1d(2)(mx.array([[[1.0], [3.0], [2.0], [2.0]]])).reshape(-1).tolist()
    [2.0, 2.0]
    """

    samples_apart = True

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__(*_pool(kernel_size, stride, padding, "AvgPool1d"))


class GlobalAvgPool1d(Module):
    """y = mean of each channel over all steps. dx = dy / T for every step.

    Shapes: (N, T, C) -> (N, C).

    >>> GlobalAvgPool1d()(mx.ones((5, 7, 3))).shape
    (5, 3)
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        check_sequence(self, x)
        self.saved = x.shape
        return x.mean(axis=1)

    def backward(self, grad_output: mx.array) -> mx.array:
        shape = self.saved
        return mx.broadcast_to(grad_output[:, None] / shape[1], shape)


class GlobalMaxPool1d(Module):
    """y = max of each channel over all steps: was it there, wherever it was. dx = dy at the first step that has it.

    Collobert et al. 2011.

    Shapes: (N, T, C) -> (N, C).

    >>> layer = GlobalMaxPool1d()
    >>> layer(mx.array([[[1.0], [3.0], [2.0]]])).tolist(), layer.backward(mx.array([[5.0]])).reshape(-1).tolist()
    ([[3.0]], [0.0, 5.0, 0.0])
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        check_sequence(self, x)
        self.saved = x.argmax(axis=1, keepdims=True), x.shape[1]
        return x.max(axis=1)

    def backward(self, grad_output: mx.array) -> mx.array:
        winner, count = self.saved
        return grad_output[:, None] * (winner == mx.arange(count)[:, None])


def row(x: mx.array) -> mx.array:
    """(N, T, C) -> (N, 1, T, C), and filters (O, K, C) -> (O, 1, K, C)."""
    return x[:, None]


def check_sequence(layer: Module, x: mx.array, window: Window | None = None, channels: int | None = None) -> None:
    """Raise unless x is (N, T, channels) of real numbers, and as long as the window; None allows anything."""
    if x.ndim != 3 or (channels is not None and x.shape[-1] != channels):
        hint = "a single sequence needs a batch axis: x[None]" if x.ndim == 2 else ""
        if x.ndim == 3 and x.shape[1] == channels:
            hint = "features come last: x.swapaxes(1, 2)"
        raise layer.wrong(f"input (batch, time, {'channels' if channels is None else channels})", x, hint)
    if not is_floating(x):
        raise TypeError(f"{layer.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")
    if x.shape[1] < 1 or (window is not None and window.output_size(1, x.shape[1])[1] < 1):
        least = 1 if window is None else window.span[1]
        raise layer.wrong(f"a sequence of at least {least} steps with its padding", x)


def steps(value: Any, name: str, where: str, least: int = 1) -> int:
    """A number of steps; PyTorch's layers have it as (number,)."""
    value = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{where}: expected {name} as a number >= {least}, got {value!r}")
    return value


def _ends(padding: Any, span: int, stride: int) -> tuple[int, int]:
    """(in front, behind) from what the user gave, for a window that reaches ``span`` steps beyond its first."""
    if padding == "same":
        if stride != 1:
            raise ValueError(f'Conv1d: padding "same" keeps the length at stride 1, got stride {stride}; give a number')
        return span // 2, span - span // 2
    if padding in ("causal", "valid"):
        return span if padding == "causal" else 0, 0
    if isinstance(padding, str):
        raise ValueError(f'Conv1d: expected padding as a number, "same", "valid" or "causal", got {padding!r}')
    padding = steps(padding, "padding", "Conv1d", least=0)
    return padding, padding


def _pool(kernel_size: Any, stride: Any, padding: Any, where: str) -> tuple[Any, Any, Any]:
    """The settings of a pooling layer for images with a single row."""
    kernel = steps(kernel_size, "kernel_size", where)
    padding = steps(padding, "padding", where, least=0)
    if 2 * padding > kernel:
        raise ValueError(f"{where}: expected padding of at most half the window {kernel}, got {padding}")
    return (1, kernel), (1, kernel if stride is None else steps(stride, "stride", where)), (0, padding)
