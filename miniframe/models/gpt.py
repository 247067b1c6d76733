"""GPT: a stack of transformer blocks that guesses, at every place of a text, what comes next."""

from __future__ import annotations

from typing import Any

from ..core.sequential import Sequential
from ..layers import Dropout, Embedding, LayerNorm, Linear, PositionEmbedding, TransformerBlock, initializers
from .generation import Writer


class GPT(Writer):
    """Numbers of tokens in, one logit for each possible next token out, at every place.

        h = dropout(positions(tokens(x))),    h = block(h) for every block,    y = head(norm(h))

    Radford et al. 2019 (GPT-2): causal attention, normalization first, and a head that is the table of the tokens, read
    the other way round. It only composes other layers, so its backward is their calls, last to first. Weights start
    from N(0, σ²), σ² = 2 / (5 embed_dim) (Nguyen & Salazar 2019; about GPT-2's 0.02² at GPT-2's width, and larger where
    fewer features are added up), those in front of an addition from N(0, σ² / (2 num_layers)), biases from 0.

    Args:
        vocabulary: how many tokens there are, V.
        context: how many of them it sees at once, T at most.
        embed_dim: features of each place, D.
        num_heads: of each attention.
        num_layers: how many blocks.
        dropout: the probability with which elements are dropped in training; 0 by default.
        tied: whether the head shares the table of the tokens; True by default.
        rotary: whether positions turn queries and keys (see RotaryEmbedding) instead of being learned and added: what
            counts is then how far apart two tokens are. False by default, as in GPT-2.

    Shapes: (N, T) integers -> (N, T, V).

    Raises:
        ValueError: for texts longer than ``context``, if positions are learned, and for tokens outside the vocabulary.

    >>> import mlx.core as mx
    >>> model = GPT(vocabulary=65, context=8, embed_dim=16, num_heads=2, num_layers=2)
    >>> model(mx.array([[1, 2, 3]])).shape
    (1, 3, 65)
    >>> model.generate([1, 2, 3], 4, seed=0).shape
    (7,)
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        vocabulary: int,
        context: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        dropout: float = 0.0,
        tied: bool = True,
        rotary: bool = False,
    ) -> None:
        if num_layers < 1:
            raise ValueError(f"GPT: expected num_layers >= 1, got {num_layers}")
        self.vocabulary, self.context = vocabulary, context
        self.tokens = Embedding(vocabulary, embed_dim)
        self.positions = None if rotary else PositionEmbedding(context, embed_dim)
        self.dropout = Dropout(dropout)
        blocks = (
            TransformerBlock(embed_dim, num_heads, causal=True, dropout=dropout, rotary=rotary)
            for _ in range(num_layers)
        )
        self.blocks = Sequential(*blocks)
        self.norm = LayerNorm(embed_dim)
        self.head = Linear(embed_dim, vocabulary, bias=False)
        self._start()
        if tied:
            self.head.weight = self.tokens.weight

    def _start(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, (Linear, Embedding)):
                module.weight.value = initializers.normal(module.weight.shape, self.initial_std(name))
            if isinstance(module, Linear) and module.bias is not None:
                module.bias.value = initializers.zeros(module.bias.shape)

    def initial_std(self, name: str) -> float:
        """The σ with which the weight of the layer of this name starts."""
        adds = name.endswith(("attention.output", "mlp.down"))
        return (2 / (5 * self.tokens.embedding_dim) / (2 * len(self.blocks) if adds else 1)) ** 0.5

    def settings(self) -> str:
        return f"{self.vocabulary} tokens, context {self.context}"

    def forward(self, x: Any, *places: Any) -> Any:
        h = self.tokens(x)
        if self.positions is not None:
            h = self.positions(h, *places)
        return self.head(self.norm(self.blocks(self.dropout(h))))


def gpt(vocabulary: int = 96, context: int = 64, embed_dim: int = 96, num_heads: int = 4, num_layers: int = 4) -> GPT:
    """A small GPT for characters, 0.46 million parameters, that trains in minutes without a GPU.

    >>> model = gpt()
    >>> sum(p.size for p in model.parameters())
    462912
    """
    return GPT(vocabulary, context, embed_dim, num_heads, num_layers)
