"""The block of a decoder, which writes one text while it looks at another: a translation, or words for a picture."""

from __future__ import annotations

from typing import Any

from ..core.module import Module
from .dropout import Dropout
from .multi_head import MultiHeadAttention
from .normalization import LayerNorm
from .transformer import ACTIVATIONS, perceptron


class DecoderBlock(Module):
    """Attention to what has been written so far, attention to a context, and a perceptron.

        norm_first:   h = x + attention(norm1(x)),   g = h + cross(norm2(h), context),   y = g + mlp(norm3(g))
        otherwise:    h = norm1(x + attention(x)),   g = norm2(h + cross(h, context)),   y = norm3(g + mlp(g))

    The right half of the figure of Vaswani et al. 2017. The first attention is causal: no place sees a later one. The
    second asks with x and is answered by the context, all of it. The block only composes other layers, so its backward
    is their calls, last to first, and the context gets its gradient from ``cross`` alone.

    Args:
        embed_dim: last axis of the input and of the output.
        num_heads: of both attentions.
        hidden_dim: of the perceptron; 4 embed_dim by default.
        context_dim: last axis of the context; embed_dim by default.
        norm_first: see above.
        activation: of the perceptron, "gelu", "relu" or "silu".
        dropout: the probability of dropping an element after attentions and perceptron, a weight of the attentions,
            and an element behind the activation.
        bias: whether linear layers and LayerNorm add a bias.
        eps: of the normalizations.
        causal: whether no place of x sees a later one; True by default.

    Inputs: x, the context and, if some of the context is padding, a mask of bools: True where it may be attended to.

    Shapes: x (N, T, embed_dim) -> the same; context (N, S, context_dim); mask (N, S), or what MultiHeadAttention takes.

    >>> import mlx.core as mx
    >>> block = DecoderBlock(8, num_heads=2)
    >>> y = block(mx.ones((2, 3, 8)), mx.ones((2, 5, 8)))
    >>> y.shape, [grad.shape for grad in block.backward(y)]
    ((2, 3, 8), [(2, 3, 8), (2, 5, 8)])
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden_dim: int | None = None,
        context_dim: int | None = None,
        norm_first: bool = True,
        activation: str = "gelu",
        dropout: float = 0.0,
        bias: bool = True,
        eps: float = 1e-5,
        causal: bool = True,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"DecoderBlock: unknown activation {activation!r}; known: {', '.join(ACTIVATIONS)}")
        hidden = 4 * embed_dim if hidden_dim is None else hidden_dim
        self.embed_dim, self.num_heads, self.norm_first = embed_dim, num_heads, norm_first

        def norm() -> LayerNorm:
            return LayerNorm(embed_dim, eps, bias=bias)

        if norm_first:  # layers are made in the order in which they run
            self.norm1 = norm()
        self.attention = MultiHeadAttention(embed_dim, num_heads, causal=causal, dropout=dropout, bias=bias)
        self.dropout = Dropout(dropout)
        if norm_first:
            self.norm2 = norm()
        else:
            self.norm1 = norm()
        self.cross = MultiHeadAttention(embed_dim, num_heads, dropout=dropout, bias=bias, context_dim=context_dim)
        if norm_first:
            self.norm3 = norm()
        else:
            self.norm2 = norm()
        self.mlp = perceptron(embed_dim, hidden, activation, dropout, bias)
        if not norm_first:
            self.norm3 = norm()

    def settings(self) -> str:
        return f"{self.embed_dim}, {self.num_heads} heads" + ("" if self.norm_first else ", norm last")

    def __call__(self, x: Any, context: Any, mask: Any = None) -> Any:
        self.attention.check(x, self.embed_dim)
        self.cross.check(context, self.cross.context_dim)
        if mask is None:
            return super().__call__(x, context)
        self.cross.check_mask(mask)
        return super().__call__(x, context, mask)

    def forward(self, x: Any, context: Any, *mask: Any) -> Any:
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm1(x)))
            x = x + self.dropout(self.cross(self.norm2(x), context, *mask))
            return x + self.dropout(self.mlp(self.norm3(x)))
        x = self.norm1(x + self.dropout(self.attention(x)))
        x = self.norm2(x + self.dropout(self.cross(x, context, *mask)))
        return self.norm3(x + self.dropout(self.mlp(x)))
