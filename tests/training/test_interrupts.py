"""Ctrl-C."""

import os
import signal

import numpy as np

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


def weights(model):
    return np.concatenate([np.array(p.value).ravel() for p in model.parameters()])


class Record(mf.Callback):
    """Notes every hook that is called."""

    def __init__(self):
        self.calls, self.logs = [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_train_end(self, logs=None):
        self.calls.append("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} end")
        self.logs.append(dict(logs))

    def on_batch_begin(self, batch, logs=None):
        self.calls.append(f"batch {batch} begin")

    def on_batch_end(self, batch, logs=None):
        self.calls.append(f"batch {batch} end")
        assert 0 < logs["loss"] < 1


def stopped_after(epoch, batch):
    """A model whose training was ended by a callback at the same place."""

    class Stop(mf.Callback):
        def on_epoch_begin(self, now, logs=None):
            self.now = now

        def on_batch_end(self, number, logs=None):
            self.model.stop_training = (self.now, number) == (epoch, batch)

    return train(callbacks=[Stop()], epochs=10)[0]


def test_ctrl_c_stops_after_the_batch_and_leaves_model_and_history_usable(capsys):
    class Press(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            if batch == 2 and not pressed:
                pressed.append(batch)
                os.kill(os.getpid(), signal.SIGINT)

    pressed, record = [], Record()
    before = signal.getsignal(signal.SIGINT)

    class Later(Press):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch < 2:
                pressed[:] = [None]
            else:
                pressed.clear()

    model, history = train(callbacks=[Later(), record], epochs=10)
    assert history.interrupted and history.epoch == [0, 1] and len(history.history["loss"]) == 2
    assert record.calls[-2:] == ["batch 2 end", "train end"]
    assert np.array_equal(weights(model), weights(stopped_after(epoch=2, batch=2)))
    assert "interrupted in epoch 3 of 10" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    train(model)  # goes on
