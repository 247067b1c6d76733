"""Lesson 18: where a layer looks that is to look three places back: untrained, trained, and without positions."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import caption, sheet

PLACES, LETTERS = 12, 6


class LooksBack(mf.Module):
    def __init__(self, placed=True):
        self.letters = mf.Embedding(LETTERS, 32)
        self.places = mf.PositionEmbedding(PLACES, 32) if placed else mf.Identity()
        self.attention = mf.MultiHeadAttention(32, num_heads=1, causal=True)
        self.head = mf.Linear(32, LETTERS)

    def forward(self, x):
        return self.head(self.attention(self.places(self.letters(x))))


def looks(model, x):
    """The mean attention over many texts."""
    query, key = mf.trace(model, x)["attention.attention"].inputs[:2]
    scores = query @ key.swapaxes(2, 3) / 32**0.5
    weights = mx.softmax(mx.where(mx.tri(PLACES, dtype=mx.bool_), scores, -mx.inf), axis=-1)
    return np.array(weights[:, 0].mean(axis=0))


def trained(placed, x, y):
    mf.seed(0)
    model = LooksBack(placed)
    loss, optimizer = mf.CrossEntropyLoss(ignore_index=-100), mf.Adam(model, lr=0.01)
    history = model.fit(x, y, loss=loss, optimizer=optimizer, epochs=15, batch_size=50, seed=0, verbose=0)
    return model, history.history["loss"][-1]


def picture():
    x = np.random.default_rng(0).integers(0, LETTERS, (1000, PLACES))
    y = np.concatenate([np.full((1000, 3), -100), x[:, :-3]], axis=1)
    mf.seed(0)
    shown = {"before training": looks(LooksBack(), x[:200])}
    for placed, name in ((True, "trained"), (False, "trained without positions")):
        model, loss = trained(placed, x, y)
        shown[f"{name}: loss {loss:.2f}"] = looks(model, x[:200])
    figure, axes = sheet(1, 3, (11.4, 4.2))
    for ax, (title, weights) in zip(axes[0], shown.items()):
        ax.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        ax.grid(False)
        ax.set_xticks(range(0, PLACES, 2))
        ax.set_yticks(range(0, PLACES, 2))
        ax.set_xlabel("looks at place")
        caption(ax, title)
    axes[0, 0].set_ylabel("place")
    return figure


FIGURES = {"lesson_18_looks.png": picture}
