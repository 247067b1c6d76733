"""One look inside a model: how large every layer's activations and gradients are for a few samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.module import Module
from ..core.node import Node
from ..core.untouched import untouched
from ..data.batch import Batch, batch_samples
from ..graph.passes import Pass


@dataclass
class LayerReading:
    """One layer call in one reading.

    Attributes:
        title: the layer in words, such as "layer '1', ReLU()".
        activation: root mean square of the output.
        gradient: norm of the gradient with respect to one sample's output, root mean square over the samples.
        dead: for ReLU, the fraction of units that are 0 for every sample; else NaN.
        saturated: for Tanh and Sigmoid, the fraction of outputs within 1% of a limit; else NaN.
        units: length of the output's last axis.
        learns: whether the layer has weights.
    """

    title: str
    activation: float
    gradient: float
    dead: float
    saturated: float
    units: int
    learns: bool


@dataclass
class Reading:
    """One look at the model: after how many epochs, the loss on the samples looked at, layers, and updates.

    ``updates`` maps each weight to ‖change by one step‖ / ‖weight‖, measured in the epoch before.
    """

    epoch: int
    loss: float
    layers: dict[str, LayerReading]
    updates: dict[str, float] = field(default_factory=dict)


def read(model: Module, loss: Any, batch: Batch) -> Reading:
    """One look at the model, which is left as it was.

    Args:
        model, loss: as in training; the model runs in training mode.
        batch: (x, y) or (x, y, sample_weight).

    >>> import miniframe as mf
    >>> layer = mf.Linear(2, 1)
    >>> found = read(layer, mf.MSELoss(), (mx.ones((4, 2)), mx.ones((4, 1))))
    >>> list(found.layers), found.layers["linear"].learns
    (['linear'], True)
    """
    x, *rest = batch
    with untouched(model, loss):
        model.train()
        seen = Pass(model, x, "read")
        value = loss(seen.output, *rest)
        for _ in seen.backward(loss.gradient()):
            pass
        nodes = {name: node for name, node in seen.calls.items() if isinstance(node.value, mx.array)}
        numbers = [value]
        for node in nodes.values():
            numbers += _measure(node, batch_samples(batch), loss.reduction)
        results = np.array(mx.stack([n.astype(mx.float32) for n in numbers]), dtype=np.float64).tolist()
        layers = {
            name: _layer(node, name, *results[1 + 3 * index : 4 + 3 * index])
            for index, (name, node) in enumerate(nodes.items())
        }
    return Reading(0, results[0], layers)


def _measure(node: Node, samples: int, reduction: str) -> list[mx.array]:
    """Three numbers, not yet computed: activation, gradient, and the fraction of units or outputs that are stuck.

    What stuck means, a layer says by itself: ``dead_units`` or ``saturation``.
    """
    y, grad = node.value, node.grad
    activation = mx.sqrt((y * y).mean())
    if grad is None:
        gradient = mx.array(math.nan)
    else:  # a mean loss has divided by the number of samples
        gradient = mx.sqrt((grad * grad).sum() * (samples if reduction == "mean" else 1 / samples))
    stuck = mx.array(math.nan)
    for share in (getattr(node.module, "dead_units", None), getattr(node.module, "saturation", None)):
        stuck = stuck if share is None else share(y)
    return [activation, gradient, stuck]


def _layer(node: Node, name: str, activation: float, gradient: float, stuck: float) -> LayerReading:
    assert node.module is not None
    return LayerReading(
        title=f"layer {name!r}, {node.module.title()}",
        activation=activation,
        gradient=gradient,
        dead=stuck if hasattr(node.module, "dead_units") else math.nan,
        saturated=stuck if hasattr(node.module, "saturation") else math.nan,
        units=node.value.shape[-1] if node.value.ndim else 1,
        learns=any(p.value.ndim > 1 for p in node.module.parameters()),
    )
