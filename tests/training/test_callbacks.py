"""Callbacks: when they are called, and what they refuse."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe.training.callbacks import HOOKS

X, Y = normal(40, 3).astype(np.float32), normal(40, 2, seed=1).astype(np.float32)


def fit(*callbacks, epochs=5, model=None, **options):
    model = mf.Linear(3, 2) if model is None else model
    options = {"optimizer": mf.SGD(model, lr=0.1, momentum=0.9), "loss": "mse", "compile": False, **options}
    history = model.fit(
        X,
        Y,
        epochs=epochs,
        batch_size=10,
        callbacks=callbacks,
        validation_data=(X, Y),
        verbose=0,
        **options,
    )
    return model, history


def test_every_hook_is_called_at_its_moment_with_logs():
    calls = []

    def note(name):
        return lambda *args: calls.append((name, args[:-1], sorted(args[-1])))

    fit(mf.LambdaCallback(**{name: note(name) for name in HOOKS}), epochs=2, metrics=["mae"])
    batch = [("on_batch_begin", [], ["loss", "mae"]), ("on_batch_end", [], ["loss", "mae"])]
    names = [name for name, _, _ in calls]
    epoch = ["on_epoch_begin", *[name for name, _, _ in batch] * 4, "on_epoch_end"]
    assert names == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    numbers = [args for name, args, _ in calls if name == "on_batch_end"]
    assert numbers == [(0,), (1,), (2,), (3,)] * 2
    ends = [logs for name, _, logs in calls if name in ("on_epoch_end", "on_train_end")]
    assert ends == [["loss", "mae", "val_loss", "val_mae"]] * 3


def test_a_misspelt_hook_is_refused():
    class Wrong(mf.Callback):
        def on_epoch_finish(self, epoch, logs=None):
            pass

    with pytest.raises(ValueError, match=r"Wrong.on_epoch_finish is never called; the hooks are on_train_begin"):
        fit(Wrong())
    with pytest.raises(ValueError, match=r"LambdaCallback: on_end is never called; the hooks are"):
        mf.LambdaCallback(on_end=print)


def test_a_class_instead_of_an_object_is_refused():
    with pytest.raises(TypeError, match=r"expected Callback objects, .* write EarlyStopping\(\)"):
        fit(mf.EarlyStopping)


def test_fit_continues_with_another_loss_optimizer_and_data():
    model, first = fit(epochs=2)
    weights = np.array(model.weight.value)
    _, second = fit(epochs=4, model=model, loss="huber", optimizer=mf.Adam(model, 1e-4), initial_epoch=2)
    assert second.epoch == [2, 3]
    moved = np.abs(np.array(model.weight.value) - weights).max()
    assert 0 < moved < 0.01, "the second fit starts from the weights of the first"
    history = model.fit(X[:4] * 0, mx.zeros((4, 2)), loss="mse", optimizer=mf.SGD(model, 0.1), verbose=0)
    assert history.epoch == [0]
