"""A transformer without positions is named before it trains; one that knows the order, or needs none, is not."""

import warnings

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
import miniframe.functional as F
from miniframe.data.arrays import ArrayData
from miniframe.training.positions import positions_missing

TOKENS = mx.array(np.random.default_rng(0).integers(0, 9, (6, 7)).astype(np.int32))


class ByHand(mf.Module):
    """Attention as somebody writes it himself, with positions that begin at 0 or without."""

    def __init__(self, positions=False):
        self.tokens, self.head = mf.Embedding(9, 8), mf.Linear(8, 9)
        self.query, self.key, self.value = mf.Linear(8, 8), mf.Linear(8, 8), mf.Linear(8, 8)
        self.places = mf.Parameter(mx.zeros((7, 8))) if positions else None

    def forward(self, x):
        h = self.tokens(x)
        h = h if self.places is None else h + self.places
        weights = F.softmax(self.query(h) @ self.key(h).transpose(0, 2, 1) * 8**-0.5)
        return self.head(weights @ self.value(h))


class Pooled(mf.Module):
    """One answer for the whole sequence."""

    def __init__(self, inner):
        self.tokens, self.inner, self.head = mf.Embedding(9, 8), inner, mf.Linear(8, 3)

    def forward(self, x):
        return self.head(self.inner(self.tokens(x)).mean(axis=1))


def text(*inner):
    return mf.Sequential(mf.Embedding(9, 8), *inner, mf.Linear(8, 9))


def block(**options):
    return mf.TransformerBlock(8, 2, **options)


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        (lambda: ByHand(), True),
        (lambda: Pooled(block()), True),
        (lambda: text(block(), block()), True),
        (lambda: text(block(causal=True)), True),
        (lambda: ByHand(positions=True), False),
        (lambda: mf.models.GPT(9, 7, 8, 2, 1), False),
        (lambda: text(mf.PositionEmbedding(7, 8), block()), False),
        (lambda: text(block(rotary=True)), False),
        (lambda: text(block(causal=True), block(causal=True)), False),
        (lambda: text(mf.LSTM(8, 8), block()), False),
        (lambda: text(mf.LSTM(8, 8)), False),
        (lambda: text(mf.Softmax()), False),
        (lambda: Pooled(mf.Linear(8, 8)), False),
    ],
    ids=[
        "by hand", "pooled", "two blocks", "causal", "positions that begin at 0", "GPT", "positions", "rotary",
        "two causal blocks", "LSTM before", "LSTM", "every token by itself", "bag of words",
    ],
)  # fmt: skip
def test_a_model_that_cannot_tell_the_order_is_named(model, missing):
    mf.seed(0)
    model = model()
    weights, state = [p.value for p in model.parameters()], mf.random.get_state()
    assert positions_missing(model, ArrayData(TOKENS, TOKENS)) is missing
    assert all(a is p.value and p.grad is None for a, p in zip(weights, model.parameters()))
    assert state == mf.random.get_state() and model.training


def test_fit_says_it_once_with_the_remedy():
    model = text(block())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.fit(TOKENS, TOKENS, loss="cross_entropy", optimizer="adam", verbose=0)
    (said,) = [str(w.message) for w in caught if issubclass(w.category, mf.GuardrailWarning)]
    assert said.startswith("fit: positions missing: Sequential") and "PositionEmbedding(length, features)" in said


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (lambda: text(block()), mx.zeros((4, 7), mx.int32)),
        (lambda: text(block()), TOKENS[:, :2]),
        (lambda: mf.Linear(7, 2), TOKENS.astype(mx.float32)),
        (lambda: mf.Conv2d(1, 2, 3), mx.random.normal((4, 7, 7, 1))),
    ],
    ids=["one token only", "two places", "rows of numbers", "images"],
)
def test_what_has_no_order_says_nothing(model, x):
    assert not positions_missing(model(), ArrayData(x, x))
