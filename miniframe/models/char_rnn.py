"""A recurrent network that guesses, at every place of a text, what comes next."""

from __future__ import annotations

from typing import Any

from ..layers import GRU, LSTM, RNN, Embedding, Linear
from .generation import Writer

KINDS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class CharRNN(Writer):
    """Numbers of characters in, one logit for each possible next one out, at every place.

        h = rnn(tokens(x)),    y = head(h)

    It only composes other layers, so its backward is their calls, last to first: through time inside the recurrent one.

    Args:
        vocabulary: how many characters there are, V.
        embed_dim: features of a character.
        hidden_size, num_layers: of the recurrent layer.
        kind: "lstm", "gru" or "rnn".
        context: how many of the last characters ``generate`` reads.

    Shapes: (N, T) integers -> (N, T, V).

    >>> import mlx.core as mx
    >>> model = CharRNN(vocabulary=30, embed_dim=8, hidden_size=16)
    >>> model(mx.array([[1, 2, 3]])).shape, model.generate([1, 2], 3, seed=0).shape
    ((1, 3, 30), (5,))
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        vocabulary: int,
        embed_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        kind: str = "lstm",
        context: int = 128,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"CharRNN: unknown kind {kind!r}; known: {', '.join(KINDS)}")
        self.vocabulary, self.context = vocabulary, context
        self.tokens = Embedding(vocabulary, embed_dim)
        self.rnn = KINDS[kind](embed_dim, hidden_size, num_layers)
        self.head = Linear(hidden_size, vocabulary)

    def settings(self) -> str:
        return f"{self.vocabulary} characters"

    def forward(self, x: Any, *places: Any) -> Any:
        return self.head(self.rnn(self.tokens(x)))


def char_rnn(vocabulary: int = 96, embed_dim: int = 64, hidden_size: int = 256, kind: str = "lstm") -> CharRNN:
    """A small recurrent network for characters.

    >>> sum(p.size for p in char_rnn().parameters())
    360544
    """
    return CharRNN(vocabulary, embed_dim, hidden_size, kind=kind)
