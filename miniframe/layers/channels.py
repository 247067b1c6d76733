"""Two small layers that treat channels one by one: a learned scale for each, and dealing them out anew."""

from __future__ import annotations

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.checks import whole
from ..core.module import Module
from ..core.sums import total


class LayerScale(Module):
    """y = x w, a learned scale for each channel. dw = Σ dy x over all but the channels, dx = dy w.

    At the end of a residual branch, where w starts small, so that every block begins close to the identity. Touvron
    et al. 2021. ``weight`` is (num_features,).

    Args:
        num_features: last axis of the input.
        start: what every w starts from; 1e-6 by default.

    Shapes: (N, ..., num_features) -> the same.

    Raises:
        ValueError: for an input of another number of channels.

    >>> layer = LayerScale(2, start=0.5)
    >>> layer(mx.array([[2.0, 4.0]])).tolist(), layer.backward(mx.array([[1.0, 10.0]])).tolist()
    ([[1.0, 2.0]], [[0.5, 5.0]])
    >>> layer.weight.grad.tolist()
    [2.0, 40.0]
    """

    samples_apart = True

    def __init__(self, num_features: int, start: float = 1e-6) -> None:
        whole("LayerScale", num_features=num_features)
        self.num_features = num_features
        self.weight = Parameter(mx.full((num_features,), start, dtype=mx.float32))

    def settings(self) -> str:
        return str(self.num_features)

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.shape[-1] != self.num_features:
            raise self.wrong(f"input (batch, ..., {self.num_features})", x)
        if not is_floating(x):
            raise TypeError(f"{self.title()}: expected real numbers, got {x.dtype}; use x.astype(mx.float32)")
        self.saved = x
        return x * self.weight.value

    def backward(self, grad_output: mx.array) -> mx.array:
        x = self.saved

        # to the parameter: dw = Σ dy x over all but the channels
        self.weight.accumulate(total((grad_output * x).reshape(-1, self.num_features), axis=0))

        # to the input: dx = dy w
        return grad_output * self.weight.value


class ChannelShuffle(Module):
    """Deal the channels out anew, so that groups that were convolved apart meet. dx = dy, put back.

        y[..., i g + j] = x[..., j k + i],    g groups of k channels each,    i < k, j < g

    The first channel of every group comes first, then the second of every group, and so on. Zhang et al. 2018.

    Args:
        groups: g.

    Shapes: (N, ..., C) -> the same; g divides C.

    Raises:
        ValueError: for a number of channels that g does not divide.

    >>> layer = ChannelShuffle(2)
    >>> y = layer(mx.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> y.tolist(), layer.backward(y).tolist()
    ([[1.0, 3.0, 2.0, 4.0]], [[1.0, 2.0, 3.0, 4.0]])
    """

    samples_apart = True

    def __init__(self, groups: int) -> None:
        whole("ChannelShuffle", groups=groups)
        self.groups = groups

    def settings(self) -> str:
        return f"{self.groups} groups"

    def forward(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.shape[-1] % self.groups:
            raise self.wrong(f"input (batch, ..., channels) whose channels {self.groups} divides", x)
        self.saved = ()
        return self.dealt(x, self.groups)

    def backward(self, grad_output: mx.array) -> mx.array:
        return self.dealt(grad_output, grad_output.shape[-1] // self.groups)

    def dealt(self, x: mx.array, groups: int) -> mx.array:
        """The channels read as a table with this many rows, column by column."""
        return x.reshape(*x.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(x.shape)
