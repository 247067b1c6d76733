"""Optimizers: how a gradient changes a parameter. Each states its rule as a function of (gradient, value, state)."""

from __future__ import annotations

from functools import partialmethod as _partialmethod
from typing import Any

from ..core import elsewhere as _elsewhere
from ..core.checks import meant as _meant
from ..core.checks import shown as _shown
from ..core.module import Module
from ..core.teach import teach as _teach
from .adaptive import Adagrad as Adagrad
from .adaptive import Adam as Adam
from .adaptive import AdamW as AdamW
from .adaptive import RMSprop as RMSprop
from .base import Optimizer as Optimizer
from .groups import Group as Group
from .sgd import SGD as SGD

NAMES: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def get(optimizer: Any, model: Module) -> Optimizer:
    """An optimizer from itself or from its name, with its usual learning rate (SGD: 0.01)."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer in NAMES:
        return SGD(model, lr=0.01) if optimizer == "sgd" else NAMES[optimizer](model)  # type: ignore[call-arg]
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"expected an optimizer, got the class {optimizer.__name__}; write {optimizer.__name__}(model)")
    known = f"known: {', '.join(NAMES)}, or an Optimizer such as SGD(model, lr=0.1)"
    raise ValueError(f"unknown optimizer {_shown(optimizer)}; {known}{_meant(optimizer, NAMES)}")


_teach(  # what PyTorch and Keras have, and what to write here
    Optimizer,
    __getattr__=_partialmethod(_elsewhere.asked_for, _elsewhere.OF_OPTIMIZERS),
    learning_rate=_elsewhere.unknown("learning_rate", _elsewhere.OF_OPTIMIZERS["learning_rate"]),
)
