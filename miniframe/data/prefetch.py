"""Reading ahead: a thread fetches the next batches of a stream while the present one is computed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

AHEAD = 2  # batches read ahead at most, each of which takes memory
END = object()


class _Failed:
    """Carries an error from the thread to the loop that reads."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def read_ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches, fetched on a thread of their own if they are made of NumPy arrays.

    The first batch is fetched here, to see what it is made of. MLX arrays and other things stay on this thread: MLX
    keeps its random state by thread, and its arithmetic runs beside Python anyway. Errors of the source are raised
    here, in their place. When the reader stops early, the source is closed.

    >>> list(read_ahead(iter([(np.zeros(1), np.ones(1)), (np.ones(1), np.ones(1))])))[1]
    (array([1.]), array([1.]))
    """
    for batch in batches:
        yield batch
        if _is_numpy(batch):
            break
    else:
        return
    yield from _from_thread(batches)


def _from_thread(batches: Iterator[Any]) -> Iterator[Any]:
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_fetch, args=(batches, ready, stop), name="read ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not END:
            if isinstance(item, _Failed):
                raise item.error
            yield item
            del item  # the array is not kept while the next one is waited for
    finally:
        stop.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                ready.get_nowait()  # make room, if the thread is waiting for it
            thread.join(0.01)


def _fetch(batches: Iterator[Any], ready: queue.Queue[Any], stop: threading.Event) -> None:
    """On the thread: put batches into the queue until there are no more or nobody wants them."""
    try:
        for batch in batches:
            ready.put(batch)
            del batch
            if stop.is_set():
                break
        ready.put(END)
    except BaseException as error:
        ready.put(_Failed(error))
    finally:
        if hasattr(batches, "close"):
            batches.close()


def _is_numpy(batch: Any) -> bool:
    """Whether a batch is made of NumPy arrays only."""
    if isinstance(batch, (tuple, list)):
        return bool(batch) and all(_is_numpy(part) for part in batch)
    return isinstance(batch, (np.ndarray, np.generic))
