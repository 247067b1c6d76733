"""Using a module without leaving traces: what it held before is put back afterwards, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import random
from .cells import Buffer, Parameter, put_values, values_of
from .module import Module
from .tape import no_grad


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
    items = [item for module in modules for _, item in module.named_items()]
    cells = [item for item in items if isinstance(item, Buffer)]
    values = values_of(cells)
    learned = [(item, item.grad, item.trainable, item.used_by) for item in cells if isinstance(item, Parameter)]
    inner = [(item, item.kept) for item in items if isinstance(item, Module)]
    state = random.get_state()
    try:
        with modes_restored(*modules):
            yield
    finally:
        put_values(cells, values)
        for parameter, grad, trainable, used_by in learned:
            parameter.grad, parameter.trainable, parameter.used_by = grad, trainable, used_by
        for module, kept in inner:
            module.saved = kept
        random.set_state(state)


@contextmanager
def modes_restored(*models: Module) -> Iterator[None]:
    """Afterwards every module is in training or evaluation mode as it was before; nothing else is put back."""
    before = [(module, module.training) for model in models for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            if module.training is not training:
                module.training = training


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode, with nothing kept for backward: what a forward that only wants the output needs."""
    modules = list(model.modules())  # one walk instead of three, because fit does this for a single sample
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        with no_grad():
            yield
    finally:
        for module, training in zip(modules, before):
            module.training = training
