"""The block that transformers are a stack of: attention between the places, then a perceptron at each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.module import Module
from ..core.sequential import Sequential
from .activations import GELU, ReLU, SiLU
from .dropout import Dropout
from .gated import GatedMLP
from .linear import Linear
from .multi_head import MultiHeadAttention
from .normalization import LayerNorm
from .positions import RotaryEmbedding
from .rms_norm import RMSNorm

ACTIVATIONS: dict[str, Callable[[], Module]] = {"relu": ReLU, "gelu": GELU, "silu": SiLU}
GATED = "swiglu"


def perceptron(embed_dim: int, hidden: int, activation: str, dropout: float, bias: bool) -> Sequential:
    """The two linear layers that a block applies at each place by itself."""
    return Sequential(
        {
            "up": Linear(embed_dim, hidden, bias),
            "activation": ACTIVATIONS[activation](),
            "dropout": Dropout(dropout),
            "down": Linear(hidden, embed_dim, bias),
        }
    )


class TransformerBlock(Module):
    """Attention and a perceptron, each with a way around it and a normalization.

        norm_first:   h = x + attention(norm1(x)),    y = h + mlp(norm2(h))
        otherwise:    h = norm1(x + attention(x)),    y = norm2(h + mlp(h))

    Vaswani et al. 2017 normalize last, GPT-2 and what came after first, which trains without a warm-up (Xiong et al.
    2020). The block only composes other layers, so its backward is their calls, last to first. The defaults are those
    of GPT-2, but for ``causal``; ``norm="rms", activation="swiglu", rotary=True, bias=False`` are Llama's.

    Args:
        embed_dim: last axis of the input and of the output.
        num_heads: of the attention.
        hidden_dim: of the perceptron; 4 embed_dim by default.
        num_kv_heads, causal, rotary: see MultiHeadAttention.
        norm_first: see above.
        norm: "layer" for LayerNorm, "rms" for RMSNorm.
        activation: of the perceptron, "gelu", "relu", "silu", or "swiglu" for a GatedMLP.
        dropout: the probability of dropping an element after attention and perceptron, a weight of the attention, and
            an element behind an activation that has no gate.
        bias: whether linear layers and LayerNorm add a bias.
        eps: of the normalizations.

    Inputs: x and, if some of it is not to be attended to, a mask of bools; see MultiHeadAttention.

    Shapes: (N, T, embed_dim) -> the same.

    >>> import mlx.core as mx
    >>> block = TransformerBlock(8, num_heads=2, causal=True)
    >>> block(mx.ones((2, 3, 8))).shape, block.backward(mx.ones((2, 3, 8))).shape
    ((2, 3, 8), (2, 3, 8))
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden_dim: int | None = None,
        num_kv_heads: int | None = None,
        causal: bool = False,
        norm_first: bool = True,
        norm: str = "layer",
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        rotary: bool | RotaryEmbedding = False,
        eps: float = 1e-5,
    ) -> None:
        hidden = 4 * embed_dim if hidden_dim is None else hidden_dim
        if norm not in ("layer", "rms"):
            raise ValueError(f"TransformerBlock: unknown norm {norm!r}; known: layer, rms")
        if activation not in (*ACTIVATIONS, GATED):
            known = ", ".join((*ACTIVATIONS, GATED))
            raise ValueError(f"TransformerBlock: unknown activation {activation!r}; known: {known}")
        self.embed_dim, self.num_heads, self.norm_first = embed_dim, num_heads, norm_first

        def normalization() -> Module:
            return LayerNorm(embed_dim, eps, bias=bias) if norm == "layer" else RMSNorm(embed_dim, eps)

        if norm_first:  # layers are made in the order in which they run
            self.norm1 = normalization()
        self.attention = MultiHeadAttention(embed_dim, num_heads, num_kv_heads, causal, dropout, bias, rotary)
        self.dropout = Dropout(dropout)
        if norm_first:
            self.norm2 = normalization()
        else:
            self.norm1 = normalization()
        self.mlp: Module = GatedMLP(embed_dim, hidden, bias)
        if activation != GATED:
            self.mlp = perceptron(embed_dim, hidden, activation, dropout, bias)
        if not norm_first:
            self.norm2 = normalization()

    def settings(self) -> str:
        return f"{self.embed_dim}, {self.num_heads} heads" + ("" if self.norm_first else ", norm last")

    def __call__(self, x: Any, mask: Any = None) -> Any:
        self.attention.check(x, self.embed_dim)
        if mask is None:
            return super().__call__(x)
        self.attention.check_mask(mask)
        return super().__call__(x, mask)

    def forward(self, x: Any, *mask: Any) -> Any:
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm1(x), *mask))
            return x + self.dropout(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x, *mask)))
        return self.norm2(x + self.dropout(self.mlp(x)))
