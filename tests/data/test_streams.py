"""Streams of batches in fit: they train like arrays, and no thread stays behind."""

import threading

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf


def numpy_batches(count, threads=None, produced=None):
    """(x, y) of NumPy arrays; notes which thread made them, and how many were made."""
    for index in range(count):
        if threads is not None:
            threads.append(threading.current_thread().name)
        if produced is not None:
            produced.append(index)
        yield np.full((2, 1), index, np.float32), np.full((2, 1), index, np.float32)


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def fit(source, **options):
    model = mf.Linear(1, 1)
    options = {"loss": "mse", "optimizer": mf.SGD(model, 0.001), "verbose": 0, "compile": False, **options}
    return model, model.fit(source, **options)


@pytest.mark.parametrize("end", ["stop_training", "error"])
def test_no_thread_stays_behind_when_training_ends_early(end):
    closed = []

    def source():
        try:
            yield from numpy_batches(1000)
        finally:
            closed.append(True)

    class Stop(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            if batch == 3:
                self.model.stop_training = True
                if end == "error":
                    raise RuntimeError("enough")

    if end == "error":
        with pytest.raises(RuntimeError, match="enough") as held:  # the traceback, and so fit's variables
            fit(source, callbacks=[Stop()])
        assert held.value.__traceback__
    else:
        fit(source, callbacks=[Stop()])
    assert closed == [True] and not reading_threads()


def test_a_stream_trains_like_the_same_arrays():
    x = np.random.default_rng(0).normal(size=(64, 1)).astype(np.float32)

    def stream():
        for i in range(0, 64, 8):
            yield x[i : i + 8], 2 * x[i : i + 8]

    results = []
    for source in ((stream,), (x, 2 * x)):
        mf.seed(0)
        model = mf.Linear(1, 1)
        history = model.fit(
            *source, loss="mse", optimizer=mf.SGD(model, 0.1), batch_size=8, epochs=3, shuffle=False, verbose=0,
            compile=False, validation_data=stream,
        )  # fmt: skip
        results.append((model.weight.value.item(), history.history))
    assert results[0] == results[1]


def test_a_batch_without_samples_is_named():
    x, y = np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])
    model = mf.Sequential(mf.Linear(2, 3))
    for batches in ([(x, y), (x[:0], y[:0])], [(mx.array(x), mx.array(y)), (mx.array(x[:0]), mx.array(y[:0]))]):
        with pytest.raises(ValueError, match="^fit: batch 2: expected at least one sample, got none"):
            model.fit(batches, loss="cross_entropy", optimizer="sgd", verbose=0)
