"""Callbacks: code of the user's that fit calls at fixed moments, under Keras' names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.checks import shown
from ..core.module import Module
from ..data.arrays import ArrayData
from ..data.streams import StreamData
from ..losses.base import Loss
from ..optimizers.base import Optimizer

Logs = dict[str, float]

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_batch_begin",
    "on_batch_end",
)

GIVEN = ("model", "optimizer", "loss", "data", "params")  # the attributes that fit sets


class Callback:
    """Subclass and define the moments of interest; a method ``on_...`` that is not one of them is refused.

    Attributes:
        model: the model in training; setting ``model.stop_training = True`` ends it after the current batch.
        optimizer: the optimizer in use; ``optimizer.lr`` may be assigned.
        loss: the loss in use.
        data: what is trained on; ``data.epoch(batch_size)`` gives batches of data in memory, ``data.latest`` the latest
            batch of a stream.
        params: a dict with epochs, steps (None if unknown), verbose, and metrics, the names that ``logs`` will have.
        keeps: names of the attributes that a checkpoint keeps; None for all that a file can hold.

    ``logs`` holds loss and metrics: of the batch in ``on_batch_end``, of the epoch (with val_...) in ``on_epoch_end``
    and, of the last epoch, in ``on_train_end``.

    >>> class Announce(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch} is done")
    >>> import miniframe as mf
    >>> model = mf.Linear(1, 1)
    >>> data = mx.ones((4, 1)), mx.ones((4, 1))
    >>> history = model.fit(*data, loss="mse", optimizer="sgd", epochs=2, callbacks=[Announce()], verbose=0)
    epoch 0 is done
    epoch 1 is done
    """

    model: Module
    optimizer: Optimizer
    loss: Loss
    data: ArrayData | StreamData
    params: dict[str, Any]
    keeps: tuple[str, ...] | None = None

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

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: plain numbers, text, arrays, and lists, tuples, dicts of them."""
        if self.keeps is not None:
            return {name: getattr(self, name) for name in self.keeps}
        return {name: value for name, value in vars(self).items() if name not in GIVEN and _is_plain(value)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave; called after ``on_train_begin`` when a training is resumed."""
        for name, value in state.items():
            setattr(self, name, value)


class CallbackList:
    """Calls each hook on those callbacks that define it, in order.

    Args:
        callbacks: the user's.
        given: what each of them gets as an attribute: model, optimizer, loss, data, params.
    """

    def __init__(self, callbacks: Iterable[Callback], **given: Any) -> None:
        if isinstance(callbacks, Callback):
            raise TypeError(
                f"callbacks: expected a list of them, got {type(callbacks).__name__}; write callbacks=[...]"
            )
        self.callbacks = list(callbacks or ())
        for callback in self.callbacks:
            check_hooks(callback)
            for name in GIVEN:
                setattr(callback, name, given[name])
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


def _is_plain(value: Any) -> bool:
    """Whether a file can hold it."""
    if isinstance(value, dict):
        return all(_is_plain(part) for item in value.items() for part in item)
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str, mx.array, np.ndarray, np.generic))


def as_callbacks(callbacks: Any) -> list[Callback]:
    """The user's callbacks, checked: several, a single one, or None."""
    if callbacks is None or isinstance(callbacks, (Callback, type)):
        callbacks = [] if callbacks is None else [callbacks]
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, str):
        raise TypeError(f"callbacks: expected Callback objects, got {shown(callbacks)}")
    found = list(callbacks)
    for callback in found:
        check_hooks(callback)
    return found


def check_hooks(callback: Any) -> None:
    """Raise unless this is a Callback whose methods named ``on_...`` are all hooks that fit calls."""
    if not isinstance(callback, Callback):
        hint = f"; write {callback.__name__}()" if isinstance(callback, type) else ""
        if callable(callback) and not hint:
            hint = "; write LambdaCallback(on_epoch_end=function)"
        raise TypeError(f"callbacks: expected Callback objects, got {shown(callback)}{hint}")
    for name in dir(callback):
        if name.startswith("on_") and name not in HOOKS:
            raise ValueError(f"{type(callback).__name__}.{name} is never called; the hooks are {', '.join(HOOKS)}")
