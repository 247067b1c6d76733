"""Activations made of straight lines and parabolas, for phones: ReLU6, Hardsigmoid, Hardswish.

They come close to their smooth namesakes without an exponential. Where two pieces meet, the derivative is the outer
piece's, as in PyTorch.
"""

from __future__ import annotations

import mlx.core as mx

from ..core.module import Module


class ReLU6(Module):
    """y = x between 0 and 6. dx = dy where 0 < x < 6, else 0. Howard et al. 2017.

    >>> layer = ReLU6()
    >>> layer(mx.array([-1.0, 2.0, 9.0])).tolist(), layer.backward(mx.array([5.0, 5.0, 5.0])).tolist()
    ([0.0, 2.0, 6.0], [0.0, 5.0, 0.0])
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        y = mx.minimum(mx.maximum(x, 0), 6)
        self.saved = y
        return y

    def backward(self, grad_output: mx.array) -> mx.array:
        y = self.saved
        return mx.where((y > 0) & (y < 6), grad_output, 0)


class Hardsigmoid(Module):
    """y = (x + 3) / 6 between 0 and 1. dx = dy / 6 where 0 < y < 1, else 0. Courbariaux et al. 2015.

    >>> layer = Hardsigmoid()
    >>> layer(mx.array([-4.0, 0.0, 4.0])).tolist(), layer.backward(mx.array([6.0, 6.0, 6.0])).tolist()
    ([0.0, 0.5, 1.0], [0.0, 1.0, 0.0])
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        y = mx.minimum(mx.maximum(x + 3, 0), 6) / 6
        self.saved = y
        return y

    def backward(self, grad_output: mx.array) -> mx.array:
        y = self.saved
        return mx.where((y > 0) & (y < 1), grad_output / 6, 0)


class Hardswish(Module):
    """y = x h with h = (x + 3) / 6 between 0 and 1. dx = dy (x / 3 + 1 / 2) where -3 < x < 3, else 0 or dy.

    Howard et al. 2019.

    >>> layer = Hardswish()
    >>> layer(mx.array([-4.0, 1.5, 4.0])).tolist(), layer.backward(mx.array([5.0, 5.0, 5.0])).tolist()
    ([-0.0, 1.125, 4.0], [0.0, 5.0, 5.0])
    """

    samples_apart = True

    def forward(self, x: mx.array) -> mx.array:
        self.saved = x
        return x * (mx.minimum(mx.maximum(x + 3, 0), 6) / 6)

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved
        slope = mx.where(x <= -3, 0, mx.where(x < 3, x / 3 + 0.5, 1))
        return grad_output * slope
