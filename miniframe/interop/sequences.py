"""Transformers to PyTorch and back: how its attention packs the weights, and modules for what it has as functions only.

PyTorch's MultiheadAttention keeps the weights of query, key and value in one array, one below the other, and its
TransformerEncoderLayer has other names for the parts of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from .. import layers as mf
from ..checking import torch_sequences
from ..core.module import Module
from .activations import only

V = TypeVar("V")
PACKED = "in_proj_"
PROJECTIONS = ("query", "key", "value")
SEPARATE = {"q_proj_weight": "query.weight", "k_proj_weight": "key.weight", "v_proj_weight": "value.weight"}
PARTS = {  # of a TransformerEncoderLayer and of a TransformerDecoderLayer
    "self_attn": "attention", "multihead_attn": "cross", "linear1": "mlp.up", "linear2": "mlp.down",
}  # fmt: skip


def unpacked(entries: Mapping[str, V], ours: Collection[str], thirds: Callable[[V], tuple[V, ...]]) -> dict[str, V]:
    """The entries of a state dict under the names that they have here.

    Args:
        entries: by PyTorch's names.
        ours: names that the model has, which are left as they are.
        thirds: cuts an entry for query, key and value into the three.
    """
    found: dict[str, V] = {}
    for name, value in entries.items():
        prefix, _, last = name.rpartition(".")
        owner, _, inner = prefix.rpartition(".")
        if name in ours:
            found[name] = value
        elif last.startswith(PACKED):
            for projection, third in zip(PROJECTIONS, thirds(value)):
                found[_renamed(prefix, f"{projection}.{last.removeprefix(PACKED)}", entries)] = third
        elif last in SEPARATE:
            found[_renamed(prefix, SEPARATE[last], entries)] = value
        elif inner == "out_proj" and _has_attention(owner, entries):
            found[_renamed(owner, f"output.{last}", entries)] = value
        else:
            found[_renamed(prefix, last, entries)] = value
    return found


def _has_attention(owner: str, entries: Collection[str]) -> bool:
    return any(_join(owner, name) in entries for name in (f"{PACKED}weight", *SEPARATE))


def _renamed(prefix: str, name: str, entries: Collection[str]) -> str:
    """The name inside a block here, if the prefix is that of a part of PyTorch's block."""
    block, _, part = prefix.rpartition(".")
    is_block = _join(block, "linear1.weight") in entries and _has_attention(_join(block, "self_attn"), entries)
    return _join(_join(block, PARTS[part]) if is_block and part in PARTS else prefix, name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# -------------------------------------------------------------------- from PyTorch


def _embedding_from_torch(m: Any) -> Module:
    only(m, max_norm=None, scale_grad_by_freq=False)
    return mf.Embedding(m.num_embeddings, m.embedding_dim)


def _attention_from_torch(m: Any) -> Module:
    """The layer for a MultiheadAttention, which is called with x alone here, and gives the output alone."""
    if not m.batch_first or m.bias_k is not None or m.add_zero_attn:
        raise ValueError(f"from_torch: {m} is known with batch_first=True, add_bias_kv=False, add_zero_attn=False only")
    if m.kdim != m.vdim:
        raise ValueError(f"from_torch: {m} has keys of {m.kdim} and values of {m.vdim} features; they must be the same")
    bias = m.in_proj_bias is not None
    return mf.MultiHeadAttention(m.embed_dim, m.num_heads, dropout=m.dropout, bias=bias, context_dim=m.kdim)


def _options(m: Any) -> dict[str, Any]:
    """What blocks of both kinds are made with."""
    name = getattr(m.activation, "__name__", type(m.activation).__name__).lower()
    if name not in ("relu", "gelu") or not (getattr(m, "batch_first", False) or m.self_attn.batch_first):
        raise ValueError(f"from_torch: {m} is known with batch_first=True and relu or gelu only, got {name}")
    attention = m.self_attn
    return {
        "embed_dim": attention.embed_dim, "num_heads": attention.num_heads, "hidden_dim": m.linear1.out_features,
        "norm_first": m.norm_first, "activation": name, "dropout": m.dropout.p, "bias": m.linear1.bias is not None,
        "eps": m.norm1.eps,
    }  # fmt: skip


def _block_from_torch(m: Any) -> Module:
    """The block for a TransformerEncoderLayer."""
    return mf.TransformerBlock(**_options(m))


def _decoder_from_torch(m: Any) -> Module:
    """The block for a TransformerDecoderLayer, which hides nothing unless a mask says so."""
    return mf.DecoderBlock(**_options(m), causal=False)


# -------------------------------------------------------------------- to PyTorch


def _computed(compute: Callable[..., Any]) -> Callable[[Any, Any, bool], Any]:
    """A maker of PyTorch modules that compute ``compute(layer, *inputs)``, without weights."""

    def make(layer: Any, nn: Any, image: bool) -> Any:
        class Computed(nn.Module):  # type: ignore[misc, name-defined]
            def forward(self, *inputs: Any) -> Any:
                return compute(layer, *inputs)

            def extra_repr(self) -> str:
                title: str = layer.title()
                return title

        module = Computed()
        object.__setattr__(module, "composed", layer)  # for the way back
        return module

    return make


def _attention(layer: Any, nn: Any, image: bool) -> Any:
    class Attention(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, *inputs: Any) -> Any:
            return torch_sequences.attention(layer, layer.dropout if self.training else 0.0, *inputs)

    module = Attention()
    object.__setattr__(module, "composed", layer)
    return module


def _position_embedding(layer: Any, nn: Any, image: bool) -> Any:
    class PositionEmbedding(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, places: Any = None) -> Any:
            return x + (self.table.weight[: x.shape[-2]] if places is None else self.table(places))

    module = PositionEmbedding()
    module.table = nn.Embedding(layer.max_length, layer.embed_dim)
    return module


SEQUENCES_FROM_TORCH: dict[str, Callable[[Any], Module]] = {
    "Embedding": _embedding_from_torch,
    "PositionEmbedding": lambda m: mf.PositionEmbedding(m.table.num_embeddings, m.table.embedding_dim),
    "MultiheadAttention": _attention_from_torch,
    "TransformerEncoderLayer": _block_from_torch,
    "TransformerDecoderLayer": _decoder_from_torch,
}

SEQUENCES_TO_TORCH: dict[type, Callable[[Any, Any, bool], Any]] = {
    mf.Embedding: lambda l, nn, _: nn.Embedding(l.num_embeddings, l.embedding_dim),
    mf.PositionEmbedding: _position_embedding,
    mf.SinePositionEncoding: _computed(torch_sequences.waves),
    mf.RotaryEmbedding: _computed(torch_sequences.rotated),
    mf.ScaledDotProductAttention: _attention,
    mf.SplitHeads: _computed(torch_sequences.split_heads),
    mf.MergeHeads: _computed(torch_sequences.merged_heads),
    mf.SwiGLU: _computed(torch_sequences.swiglu),
}
