"""Positions: attention does not see the order of a sequence, so the order is written into the vectors themselves.

Three ways: add a learned vector for each place, add waves of many lengths, or turn queries and keys by an angle that
grows from place to place. Each layer takes a second input, the numbers of the places, for sequences that do not start
at 0: the next word of a text whose beginning was computed before, or texts of different lengths in one batch.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.module import Module
from ..core.sums import total
from . import initializers
from .embedding import Embedding
from .normalization import check_real


class PositionEmbedding(Module):
    """Add a learned vector for each place: y[n, t] = x[n, t] + W[t]. dx = dy, dW[t] = Σ dy[n, t] over all samples.

    W, (max_length, embed_dim), is the weight of an Embedding, ``table``; it starts from N(0, 0.02²), as GPT-2's.

    Args:
        max_length: how many places there are.
        embed_dim: last axis of the input, D.

    Inputs: x and, if they are not 0, 1, 2, ..., the numbers of the places, integers (T,) or (N, T).

    Shapes: (N, T, D) -> the same, with T <= max_length.

    Raises:
        ValueError: for a sequence that is too long, or of another size; it names both.

    >>> layer = PositionEmbedding(10, 2)
    >>> layer(mx.zeros((3, 4, 2))).shape, layer.backward(mx.ones((3, 4, 2))).shape
    ((3, 4, 2), (3, 4, 2))
    >>> layer.table.weight.grad[3:5].tolist()
    [[3.0, 3.0], [0.0, 0.0]]
    """

    samples_apart = True

    def __init__(self, max_length: int, embed_dim: int) -> None:
        if max_length < 1 or embed_dim < 1:
            raise ValueError(f"PositionEmbedding: expected positive sizes, got {max_length} and {embed_dim}")
        self.max_length, self.embed_dim = max_length, embed_dim
        self.table = Embedding(max_length, embed_dim)
        self.table.weight.value = initializers.normal((max_length, embed_dim), 0.02)

    def settings(self) -> str:
        return f"{self.max_length}, {self.embed_dim}"

    def forward(self, x: mx.array, places: mx.array | None = None) -> mx.array:
        check_sequence(self, x, places, self.embed_dim)
        if places is None and x.shape[-2] > self.max_length:
            raise self.wrong(f"at most {self.max_length} places", x, "make it longer, or cut the sequence")
        rows = self.table.forward(mx.arange(x.shape[-2]) if places is None else places)
        self.saved = self.table.saved, rows.ndim, places is not None
        return x + rows

    def backward(self, grad_output: mx.array) -> Any:
        self.table.saved, ndim, given = self.saved
        self.table.backward(grad_output if ndim == 3 else total(grad_output, axis=0))
        return (grad_output, None) if given else grad_output


class SinePositionEncoding(Module):
    """Add waves of many lengths: y[t, 2i] = x[t, 2i] + sin(t / bⁱ), y[t, 2i+1] = x[t, 2i+1] + cos(t / bⁱ). dx = dy.

    Vaswani et al. 2017, with b = max_wavelength^(2/D). Nothing is learned, and no sequence is too long.

    Args:
        max_wavelength: 10,000 by default; the longest wave is 2π times as long.

    Inputs: x and, if they are not 0, 1, 2, ..., the numbers of the places, integers (T,) or (N, T).

    Shapes: (N, T, D) or (N, H, T, D) -> the same, with an even D.

    >>> layer = SinePositionEncoding()
    >>> layer(mx.zeros((1, 2, 4)))[0, 0].tolist(), layer.backward(mx.ones((1, 1, 2))).tolist()
    ([0.0, 1.0, 0.0, 1.0], [[[1.0, 1.0]]])
    """

    samples_apart = True

    def __init__(self, max_wavelength: float = 10000.0) -> None:
        if max_wavelength <= 0:
            raise ValueError(f"SinePositionEncoding: expected max_wavelength > 0, got {max_wavelength}")
        self.max_wavelength = max_wavelength

    def settings(self) -> str:
        return "" if self.max_wavelength == 10000 else f"{self.max_wavelength:g}"

    def forward(self, x: mx.array, places: mx.array | None = None) -> mx.array:
        check_sequence(self, x, places)
        self.saved = places is not None
        angle = angles(x, places, self.max_wavelength)
        waves = mx.stack([mx.sin(angle), mx.cos(angle)], axis=-1).flatten(-2)
        return x + waves.astype(x.dtype)

    def backward(self, grad_output: mx.array) -> Any:
        given = self.saved
        return (grad_output, None) if given else grad_output


class RotaryEmbedding(Module):
    """Turn each pair of features by an angle that grows from place to place, for queries and keys.

        (a, b) at place t -> (a cos θ - b sin θ, a sin θ + b cos θ),   θ = t / base^(2i/D) for pair i

    The backward turns the other way: (da, db) -> (da cos θ + db sin θ, -da sin θ + db cos θ). Su et al. 2021. After
    it, the product of a query and a key depends on how far apart they are, not on where they stand.

    Args:
        base: 10,000 by default; the slowest pair turns once in 2π times as many places.
        interleaved: whether a pair is two neighbours, as in the paper, or the features i and i + D/2, as in the
            weights of most language models; not by default.

    Inputs: x and, if they are not 0, 1, 2, ..., the numbers of the places, integers (T,) or (N, T).

    Shapes: (N, T, D) or (N, H, T, D) -> the same, with an even D.

    >>> layer = RotaryEmbedding()
    >>> x = mx.ones((1, 3, 2))
    >>> y = layer(x)
    >>> y.round(2)[0, 0].tolist(), bool(mx.allclose(layer.backward(y), x))
    ([1.0, 1.0], True)
    """

    samples_apart = True

    def __init__(self, base: float = 10000.0, interleaved: bool = False) -> None:
        if base <= 0:
            raise ValueError(f"RotaryEmbedding: expected base > 0, got {base}")
        self.base, self.interleaved = base, interleaved

    def settings(self) -> str:
        base = "" if self.base == 10000 else f"base={self.base:g}"
        return ", ".join(filter(None, (base, "interleaved" if self.interleaved else "")))

    def forward(self, x: mx.array, places: mx.array | None = None) -> mx.array:
        check_sequence(self, x, places)
        angle = angles(x, places, self.base)
        cos, sin = mx.cos(angle).astype(x.dtype), mx.sin(angle).astype(x.dtype)
        self.saved = cos, sin, places is not None
        return self.turned(x, cos, sin)

    def backward(self, grad_output: mx.array) -> Any:
        cos, sin, given = self.saved
        grad = self.turned(grad_output, cos, -sin)
        return (grad, None) if given else grad

    def turned(self, x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
        if self.interleaved:
            a, b = x[..., 0::2], x[..., 1::2]
            return mx.stack([a * cos - b * sin, a * sin + b * cos], axis=-1).flatten(-2)
        a, b = mx.split(x, 2, axis=-1)
        return mx.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def angles(x: mx.array, places: mx.array | None, base: float) -> mx.array:
    """t / base^(2i/D) for every place t and every pair i of the D features, in single precision at least."""
    dtype = mx.float64 if x.dtype == mx.float64 else mx.float32
    pairs = mx.arange(x.shape[-1] // 2).astype(dtype)
    speeds = mx.array(base, dtype=dtype) ** (pairs * (-2 / x.shape[-1]))
    places = mx.arange(x.shape[-2]) if places is None else places
    if places.ndim == 2 and x.ndim == 4:
        places = places[:, None]  # the same for all heads
    return places[..., None].astype(dtype) * speeds


def check_sequence(layer: Module, x: mx.array, places: mx.array | None, features: int | None = None) -> None:
    """Raise unless x is a batch of sequences with these features (or an even number), and the places are its own."""
    even = features is None
    if x.ndim not in ((3, 4) if even else (3,)) or (x.shape[-1] % 2 if even else x.shape[-1] != features):
        wanted = "an even number of features" if even else features
        raise layer.wrong(f"input (batch, length, {wanted})", x)
    check_real(layer, x)
    if places is None:
        return
    if is_floating(places) or places.dtype == mx.bool_:
        raise TypeError(f"{layer.title()}: expected integers for the places, got {places.dtype}; use astype(mx.int32)")
    if places.shape not in ((x.shape[-2],), (x.shape[0], x.shape[-2])):
        raise layer.wrong(f"places ({x.shape[-2]},) or ({x.shape[0]}, {x.shape[-2]})", places)


def sine_position_encoding(x: Any, places: Any = None, max_wavelength: float = 10000.0) -> Any:
    """x plus waves of many lengths, for the places 0, 1, 2, ... or those given. dx = dy.

    >>> sine_position_encoding(mx.zeros((1, 1, 4))).tolist()
    [[[0.0, 1.0, 0.0, 1.0]]]
    """
    return SinePositionEncoding(max_wavelength)(x, *([] if places is None else [places]))


def rotary_embedding(x: Any, places: Any = None, base: float = 10000.0, interleaved: bool = False) -> Any:
    """Pairs of features of x, turned by angles that grow from place to place. dx = dy, turned the other way.

    >>> rotary_embedding(mx.array([[[1.0, 0.0]]])).tolist()
    [[[1.0, 0.0]]]
    """
    return RotaryEmbedding(base, interleaved)(x, *([] if places is None else [places]))
