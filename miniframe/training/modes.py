"""Modes for the moment: what fit, evaluate and summary switch on, and put back whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def modes_restored(model: Any) -> Iterator[None]:
    """Afterwards every module is in training or evaluation mode as it was before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode, with nothing kept for backward."""
    from ..graph import no_grad

    with modes_restored(model), no_grad():
        model.eval()
        yield


@contextmanager
def interrupt_requests() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C a request, which the yielded function reports; a second one interrupts at once."""
    requested = False

    def request(number: int, frame: Any) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, request)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, before)
