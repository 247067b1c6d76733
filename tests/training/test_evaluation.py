"""evaluate and predict."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

X = np.random.default_rng(0).random((130, 2), dtype=np.float32)
Y = np.stack([X[:, 0] > X[:, 1], X[:, 0] <= X[:, 1]], axis=1).astype(np.float32)


def small(dropout=0.0):
    mf.seed(0)
    layers = [mf.Linear(2, 8), mf.Tanh(), mf.Linear(8, 2)]
    return mf.Sequential(*layers[:2], mf.Dropout(dropout), layers[2]) if dropout else mf.Sequential(*layers)


def train(model=None, x=X, y=Y, **options):
    model = small() if model is None else model
    settings = {"loss": "mse", "epochs": 3, "batch_size": 32, "verbose": 0, "seed": 0, "compile": False} | options
    settings.setdefault("optimizer", mf.SGD(model, lr=0.1, momentum=0.9))
    return model, model.fit(x, y, **settings)


# ------------------------------------------------------------------ what it does


def test_predict_joins_batches_in_order_and_keeps_nothing():
    model = small()
    assert np.allclose(np.array(model.predict(X, batch_size=7)), np.array(model(mx.array(X))), atol=1e-6)
    model.predict(X)
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        model.backward(mx.zeros((130, 2)))


def test_evaluate_takes_other_losses_and_metrics():
    model, _ = train()
    scores = model.evaluate(X, Y, loss=mf.L1Loss(), metrics=["mae", lambda p, t: mx.abs(p - t).max()])
    assert scores["loss"] == pytest.approx(scores["mae"]) and scores["<lambda>"] > scores["mae"]


# ------------------------------------------------------------------ mistakes


def test_evaluate_without_a_fit_needs_a_loss():
    with pytest.raises(ValueError, match="expected a loss, as this model was never fitted"):
        small().evaluate(X, Y)
