"""Layers for sequences that PyTorch has no modules for, in its functions: it is a witness, and models go there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor


def attention(
    layer: Any, dropout: float, query: Tensor, key: Tensor, value: Tensor, mask: Any = None, bias: Any = None
) -> Tensor:
    """ScaledDotProductAttention."""
    import torch.nn.functional as F

    if layer.causal:
        queries, keys = query.shape[-2], key.shape[-2]
        earlier = query.new_ones(queries, keys).tril(keys - queries).bool()
        mask = earlier if mask is None else earlier & mask
    if bias is not None:
        mask = bias if mask is None else bias + mask.to(bias.dtype).log()  # 0 where it is True, else -inf
    options = {"scale": layer.scale, "enable_gqa": query.ndim == 4}
    return F.scaled_dot_product_attention(query, key, value, mask, dropout, **options)


def split_heads(layer: Any, x: Tensor) -> Tensor:
    """SplitHeads."""
    return x.unflatten(-1, (-1, layer.head_dim)).transpose(1, 2)


def merged_heads(layer: Any, x: Tensor) -> Tensor:
    """MergeHeads."""
    return x.transpose(1, 2).flatten(-2)


def swiglu(layer: Any, gate: Tensor, x: Tensor) -> Tensor:
    """SwiGLU."""
    return gate * gate.sigmoid() * x


def waves(layer: Any, x: Tensor, places: Tensor | None = None) -> Tensor:
    """SinePositionEncoding."""
    angle = _angles(x, places, layer.max_wavelength)
    return x + _side_by_side(angle.sin(), angle.cos())


def rotated(layer: Any, x: Tensor, places: Tensor | None = None) -> Tensor:
    """RotaryEmbedding."""
    angle = _angles(x, places, layer.base)
    cos, sin = angle.cos(), angle.sin()
    half = x.shape[-1] // 2
    a, b = (x[..., 0::2], x[..., 1::2]) if layer.interleaved else (x[..., :half], x[..., half:])
    a, b = a * cos - b * sin, a * sin + b * cos
    return _side_by_side(a, b) if layer.interleaved else _behind(a, b)


def _angles(x: Tensor, places: Tensor | None, base: float) -> Tensor:
    pairs = x.new_ones(x.shape[-1] // 2).cumsum(0) - 1
    places = x.new_ones(x.shape[-2]).cumsum(0) - 1 if places is None else places
    if places.ndim == 2 and x.ndim == 4:
        places = places[:, None]
    return places[..., None] * base ** (pairs * (-2 / x.shape[-1]))


def _side_by_side(a: Tensor, b: Tensor) -> Tensor:
    """a0, b0, a1, b1, ..."""
    return _behind(a[..., None], b[..., None]).flatten(-2)


def _behind(a: Tensor, b: Tensor) -> Tensor:
    """b behind a, along the last axis."""
    import torch

    return torch.cat([a, b], dim=-1)


def functions() -> dict[str, Callable[..., Tensor]]:
    """By class name, functions of a layer, its parameters, and its inputs."""

    def alone(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda layer, own, *inputs: compute(layer, *inputs)

    def position_embedding(layer: Any, own: dict[str, Tensor], x: Tensor, places: Tensor | None = None) -> Tensor:
        table = own["table.weight"]
        return x + (table[: x.shape[-2]] if places is None else table[places])

    return {
        "PositionEmbedding": position_embedding,
        "ScaledDotProductAttention": lambda layer, own, *inputs: attention(layer, 0.0, *inputs),
        "SplitHeads": alone(split_heads),
        "MergeHeads": alone(merged_heads),
        "SwiGLU": alone(swiglu),
        "SinePositionEncoding": alone(waves),
        "RotaryEmbedding": alone(rotated),
    }
