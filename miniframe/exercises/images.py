"""Lesson 9: convolution and pooling."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ..layers import Conv2d, MaxPool2d
from .calls import as_number, call
from .exercise import Namespace, Wrong, exercise
from .judge import found, judge_layer, normal, same
from .layers import BACKWARD, HEAD


@exercise(
    "9.1",
    "The size of a convolution's output",
    '''
How many places does a window of ``kernel`` pixels have on a line of ``size`` pixels, with ``padding`` zeros on each
side, if it moves by ``stride``?
"""


def output_size(size, kernel, stride=1, padding=0):
    raise NotImplementedError("your turn")
''',
)
def output_size(names: Namespace) -> None:
    hints = {
        (5, 3, 1, 0): "The window covers its first place without moving.",
        (5, 3, 1, 1): "Padding stands on both sides.",
        (6, 3, 2, 0): NARROW,
        (8, 3, 2, 0): NARROW,
        (7, 3, 2, 1): "Padding on both sides, then the stride: in which order?",
    }
    some = [(5, 1, 1, 0), (224, 11, 4, 2), (3, 3, 5, 0)]
    every = [(n, k, s, p) for n in (7, 8, 9, 12, 28) for k in (1, 2, 3, 5) for s in (1, 2, 3, 4) for p in (0, 1, 2)]
    for case in [*hints, *some, *every]:
        size, kernel, stride, padding = case
        result = as_number(call(names, "output_size", size, kernel, stride, padding))
        if result != len(range(0, size + 2 * padding - kernel + 1, stride)):
            told = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}: you say {result:g}. Draw it. "
            raise Wrong(told + hints.get(case, NARROW if (size + 2 * padding - kernel) % stride else ""))
        if not isinstance(found(names, "output_size")(size, kernel, stride, padding), (int, np.integer)):
            raise Wrong(f"The number is right, but it is {result!r}: a size is a whole number.")
    if found(names, "output_size")(5, 3) != 3:
        raise Wrong("Without stride and padding they are 1 and 0: keep the stub's defaults.")


NARROW = "What is left at the end is too narrow for a window, and does not count."


@exercise(
    "9.2",
    "Write this backward: Conv2d",
    "\n    y[n, i, j, o] = b[o] + Σ x[n, i + u, j + v, c] w[o, u, v, c]    over u, v, c\n\n"
    "x: (N, H, W, C), weight: (O, K, K, C), bias: (O,), stride 1, no padding. The forward below loops over the "
    "window;\nso may the backward. Hint at MLX: array.at[index].add(values) returns a new array.\n"
    + HEAD
    + """
class MyConv2d(mf.Module):
    def __init__(self, channels, filters, size):
        self.weight = mf.Parameter(mx.random.normal((filters, size, size, channels)))
        self.bias = mf.Parameter(mx.random.normal((filters,)))

    def forward(self, x):
        self.saved = x
        filters, size, _, _ = self.weight.shape
        height, width = x.shape[1] - size + 1, x.shape[2] - size + 1
        y = self.bias.value
        for u in range(size):
            for v in range(size):
                y = y + x[:, u : u + height, v : v + width] @ self.weight.value[:, u, v].T
        return y
"""
    + BACKWARD.format(saved="x"),
    points=4,
    forbidden=("Conv2d", "conv_general"),
)
def conv2d(names: Namespace) -> None:
    module = found(names, "MyConv2d")(2, 3, 3)
    reference = Conv2d(2, 3, 3)
    reference.weight, reference.bias = module.weight, module.bias
    x = normal(2, 5, 4, 2)
    turned = Conv2d(2, 3, 3)
    turned.weight.value = module.weight.value.transpose(0, 2, 1, 3)
    interior = (slice(None), slice(2, 3), slice(2, 3))

    def flipped(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> bool:
        return same(a, b[:, ::-1, ::-1])

    def exchanged(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> bool:
        turned(mx.array(x.astype(np.float32)))
        return same(a, np.array(turned.backward(mx.array(u.astype(np.float32)))), 1e-4)

    mistakes = {
        "bias": [
            (lambda a, b, u: same(a, u[0].sum(axis=(0, 1))), "The gradient of bias leaves out all samples but one."),
            (lambda a, b, u: same(a * 12, b), "The gradient of bias is a mean over places: it is a sum."),
        ],
        "weight": [
            (flipped, "The gradient of weight is flipped: compare the indices i + u of forward and backward."),
            (lambda a, b, u: same(a, b.transpose(0, 2, 1, 3)), EXCHANGED),
        ],
        "input": [
            (exchanged, EXCHANGED),
            (
                lambda a, b, u: np.any(a) and not same(a[interior], b[interior]) and same(a[:, :1, :1], b[:, :1, :1]),
                "Only the corner is right: windows overlap, and a pixel under several of them collects from all. Add.",
            ),
            (
                lambda a, b, u: not same(a[:, :1, :1], b[:, :1, :1]),
                "Not even the corner pixel is right, which only one window touches. Which weight met it in forward? "
                "Backward sends it back the same way: loop over the window as forward does.",
            ),
        ],
    }
    judge_layer(module, x, like=reference, mistakes=mistakes)
    for inputs, filters, size, shape in ((1, 2, 1, (1, 3, 3)), (3, 1, 2, (3, 2, 4)), (2, 4, 3, (1, 3, 6))):
        other = found(names, "MyConv2d")(inputs, filters, size)
        judge_layer(other, normal(*shape, inputs), mistakes={"input": mistakes["input"]})


EXCHANGED = "The two axes of the window are exchanged: u runs over rows and v over columns, in the weight, too."


@exercise(
    "9.3",
    "Write this backward: MaxPool2d",
    "\n    y = the largest of each 2x2 window, windows side by side\n\nx: (N, H, W, C) with even H and W.\n"
    + HEAD
    + """
class MyMaxPool(mf.Module):
    def forward(self, x):
        n, h, w, c = x.shape
        y = x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
        self.saved = x, y
        return y
"""
    + BACKWARD.format(saved="x, y"),
    points=2,
    forbidden=("MaxPool2d",),
)
def maxpool(names: Namespace) -> None:

    def spread(u: np.ndarray) -> np.ndarray:
        return u.repeat(2, axis=1).repeat(2, axis=2)

    mistakes = {
        "input": [
            (lambda a, b, u: same(a, spread(u)), "All four pixels get the gradient; three had no influence on y."),
            (lambda a, b, u: same(a, spread(u) / 4), "That is average pooling: here one pixel decides."),
            (
                lambda a, b, u: same(a * (b != 0), b) is False and same(a != 0, b != 0),
                "The right pixels, but not the right numbers: the slope at the winner is 1.",
            ),
            (
                lambda a, b, u: same(np.sort(a, axis=None), np.sort(b, axis=None)),
                "The right numbers in the wrong places: check the order of axes when you reshape back.",
            ),
        ]
    }
    for shape in ((2, 4, 6, 3), (1, 2, 2, 1), (3, 6, 2, 2)):
        x = normal(*shape)
        judge_layer(found(names, "MyMaxPool")(), x, like=MaxPool2d(2), mistakes=mistakes)
