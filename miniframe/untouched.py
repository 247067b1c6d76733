"""Looking at a module without leaving traces: what it held before is put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import random
from .module import Buffer, Module, Parameter


@contextmanager
def untouched(*modules: Module) -> Iterator[None]:
    """Afterwards the modules are as before: values, gradients, modes, what forward saved; so is the random state.

    >>> from miniframe import Linear
    >>> import mlx.core as mx
    >>> layer = Linear(2, 3)
    >>> with untouched(layer):
    ...     dx = layer.backward(layer(mx.ones((1, 2))))
    >>> layer.weight.grad is None
    True
    """
    items = [item for module in modules for _, item in module._walk()]
    cells = [(item, item._value) for item in items if isinstance(item, Buffer)]
    learned = [(item, item.grad, item.trainable, item.used_by) for item in items if isinstance(item, Parameter)]
    inner = [(item, item._saved, item.training) for item in items if isinstance(item, Module)]
    state = random.get_state()
    try:
        yield
    finally:
        for cell, value in cells:
            cell._value = value
        for parameter, grad, trainable, used_by in learned:
            parameter.grad, parameter.trainable, parameter.used_by = grad, trainable, used_by
        for module, saved, training in inner:
            module._saved = saved
            if module.training is not training:
                module.training = training
        random.set_state(state)
