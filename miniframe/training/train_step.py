"""The course in six lines."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.arrays import as_tuple
from ..core.module import Module
from ..losses.base import Loss
from ..optimizers.base import Optimizer


def train_step(model: Module, loss: Loss, optimizer: Optimizer, x: Any, y: Any, sample_weight: Any = None) -> mx.array:
    """The course in six lines: forget the gradients, forward, loss, backward, step, return.

    Args:
        model, loss, optimizer: what is trained; the loss need not be linked to the model.
        x: a batch of inputs; a tuple for a model with several.
        y: the targets.
        sample_weight: (N,) factors of the samples' losses; optional.

    Returns:
        The loss of the batch, before the step. Gradients stay in ``parameter.grad``.

    >>> import miniframe as mf
    >>> model = mf.Linear(1, 1)
    >>> loss, optimizer = mf.MSELoss(), mf.SGD(model, lr=0.1)
    >>> x, y = mx.array([[1.0]]), mx.array([[2.0]])
    >>> first = mf.train_step(model, loss, optimizer, x, y)
    >>> bool(mf.train_step(model, loss, optimizer, x, y) < first)
    True
    """
    model.zero_grad()
    prediction = model(*as_tuple(x))
    value = loss(prediction, y, sample_weight)
    model.backward(loss.gradient())
    optimizer.step()
    return value
