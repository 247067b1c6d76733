"""Lesson 6: convolution and pooling."""

from __future__ import annotations

import numpy as np

from .exercise import Namespace, Wrong, exercise
from .judge import found, judge_layer, normal, same
from .layers import BACKWARD, HEAD


@exercise(
    "6.1",
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
    function = found(names, "output_size")
    cases = {(5, 3, 1, 0): 3, (5, 3, 1, 1): 5, (5, 1, 1, 0): 5, (6, 3, 2, 0): 2, (7, 3, 2, 1): 4, (224, 11, 4, 2): 55}
    hints = {
        (5, 3, 1, 0): "The window covers its first place without moving.",
        (5, 3, 1, 1): "Padding stands on both sides.",
        (6, 3, 2, 0): "What is left at the end is too narrow for a window, and does not count.",
        (7, 3, 2, 1): "Padding on both sides, then the stride: in which order?",
    }
    for case, wanted in cases.items():
        size, kernel, stride, padding = case
        result = function(size, kernel, stride, padding)
        if result != wanted:
            told = f"size {size}, kernel {kernel}, stride {stride}, padding {padding}: you say {result}. Draw it. "
            raise Wrong(told + hints.get(case, ""))
        if not isinstance(result, int):
            raise Wrong(f"The number is right, but it is {result!r}: a size is a whole number.")


@exercise(
    "6.2",
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
)
def conv2d(names: Namespace) -> None:
    x = normal(2, 5, 4, 2)
    interior = (slice(None), slice(2, 3), slice(2, 3))

    def flipped(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> bool:
        return same(a, b[:, ::-1, ::-1])

    mistakes = {
        "bias": [
            (lambda a, b, u: same(a, u[0].sum(axis=(0, 1))), "The gradient of bias leaves out all samples but one."),
            (lambda a, b, u: same(a * 12, b), "The gradient of bias is a mean over places: it is a sum."),
        ],
        "weight": [(flipped, "The gradient of weight is flipped: compare the indices i + u of forward and backward.")],
        "input": [
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
    judge_layer(found(names, "MyConv2d")(2, 3, 3), x, mistakes=mistakes)


@exercise(
    "6.3",
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
)
def maxpool(names: Namespace) -> None:
    x = normal(2, 4, 6, 3)

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
    judge_layer(found(names, "MyMaxPool")(), x, mistakes=mistakes)
