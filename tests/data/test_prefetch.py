"""Batches are read ahead on a thread, in order, and errors arrive in their place."""

import threading
import time

import mlx.core as mx
import numpy as np
import pytest

from miniframe.data.prefetch import AHEAD, read_ahead


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


def test_numpy_batches_come_in_order_from_a_thread():
    threads = []
    batches = [x[0, 0] for x, _ in read_ahead(numpy_batches(50, threads))]
    assert batches == list(range(50))
    assert threads[0] == "MainThread" and set(threads[1:]) == {"read ahead"}
    assert not reading_threads()


def test_mlx_batches_stay_on_their_thread():
    threads = []

    def source():
        for x, y in numpy_batches(5, threads):
            yield mx.array(x), mx.random.normal(y.shape)

    assert len(list(read_ahead(source()))) == 5
    assert set(threads) == {"MainThread"}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_streams_end(count):
    assert len(list(read_ahead(numpy_batches(count)))) == count


def test_a_few_batches_are_read_ahead_while_the_reader_is_busy():
    produced = []
    stream = read_ahead(numpy_batches(100, produced=produced))
    next(stream), next(stream)
    expected = 2 + AHEAD + 1  # those used, those waiting, the one in the thread's hand
    deadline = time.monotonic() + 10
    while len(produced) < expected and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(produced) == expected
    stream.close()
    assert not reading_threads() and len(produced) <= expected + 1


def test_an_error_of_the_source_arrives_after_the_batches_before_it():
    def source():
        yield from numpy_batches(3)
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        for batch in read_ahead(source()):
            seen.append(batch)
    assert len(seen) == 3 and not reading_threads()
