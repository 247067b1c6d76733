"""Callbacks: code of the user's that fit calls at fixed moments, under Keras' names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..module import Module

Logs = dict[str, float]

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_batch_begin",
    "on_batch_end",
)


class Callback:
    """Subclass and define the moments of interest; a method ``on_...`` that is not one of them is refused.

    Attributes:
        model: the model in training; setting ``model.stop_training = True`` ends it after the current batch.
        params: a dict with epochs, steps (None if unknown) and verbose.

    ``logs`` holds loss and metrics: of the batch in ``on_batch_end``, of the epoch (with val_...) in ``on_epoch_end``.
    """

    model: Module
    params: dict[str, Any]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, however the training ended."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch; batches count from 0 in every epoch."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch. Defining it makes fit wait for every batch, so that the numbers can be read."""


class CallbackList:
    """Calls each hook on those callbacks that define it, in order."""

    def __init__(self, callbacks: Iterable[Callback], model: Module, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            check_hooks(callback)
            callback.model, callback.params = model, params
        self._hooks = {hook: [getattr(c, hook) for c in self.callbacks if _defines(c, hook)] for hook in HOOKS}

    def wants(self, hook: str) -> bool:
        """Whether any callback defines this hook."""
        return bool(self._hooks[hook])

    def call(self, hook: str, *args: Any) -> None:
        """Call one hook everywhere."""
        for function in self._hooks[hook]:
            function(*args)


def _defines(callback: Callback, hook: str) -> bool:
    return getattr(type(callback), hook, None) is not getattr(Callback, hook) or hook in vars(callback)


def check_hooks(callback: Any) -> None:
    """Raise unless this is a Callback whose methods named ``on_...`` are all hooks that fit calls."""
    if not isinstance(callback, Callback):
        hint = f"; write {callback.__name__}()" if isinstance(callback, type) else ""
        raise TypeError(f"callbacks: expected Callback objects, got {callback!r}{hint}")
    for name in dir(callback):
        if name.startswith("on_") and name not in HOOKS:
            raise ValueError(f"{type(callback).__name__}.{name} is never called; the hooks are {', '.join(HOOKS)}")
