"""One look inside a model: how large every layer's activations and gradients are for a few samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from .layers.activations import ReLU, Sigmoid, Tanh
from .module import Module
from .training.data import Batch, batch_samples

if TYPE_CHECKING:
    from .graph import Node


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
    from .graph import Variable
    from .untouched import untouched
    from .walk import ancestors

    x, *rest = batch
    with untouched(model, loss):
        model.train()
        output = model(*[Variable(part) for part in (x if isinstance(x, tuple) else (x,))])
        value = loss(output.value, *rest)
        output.backward(loss.gradient())
        nodes = [n for n in ancestors([output]) if n.module is not None and isinstance(n.value, mx.array)]
        numbers = [value]
        for node in nodes:
            numbers += _measure(node, batch_samples(batch), loss.reduction)
        results = np.array(mx.stack([n.astype(mx.float32) for n in numbers]), dtype=np.float64).tolist()
        names = _names(model, nodes)
        layers = {}
        for index, (node, name) in enumerate(zip(nodes, names)):
            layers[name] = _layer(node, name, *results[1 + 3 * index : 4 + 3 * index])
    return Reading(0, results[0], layers)


def _measure(node: Node, samples: int, reduction: str) -> list[mx.array]:
    """Three numbers, not yet computed: activation, gradient, and the fraction of units or outputs that are stuck."""
    y, grad = node.value, node.grad
    activation = mx.sqrt((y * y).mean())
    if grad is None:
        gradient = mx.array(math.nan)
    else:  # a mean loss has divided by the number of samples
        gradient = mx.sqrt((grad * grad).sum() * (samples if reduction == "mean" else 1 / samples))
    if isinstance(node.module, ReLU):
        stuck = (y.reshape(-1, y.shape[-1]).max(axis=0) <= 0).astype(mx.float32).mean()
    elif isinstance(node.module, Tanh):
        stuck = (mx.abs(y) > 0.99).astype(mx.float32).mean()
    elif isinstance(node.module, Sigmoid):
        stuck = (mx.abs(y - 0.5) > 0.49).astype(mx.float32).mean()
    else:
        stuck = mx.array(math.nan)
    return [activation, gradient, stuck]


def _layer(node: Node, name: str, activation: float, gradient: float, stuck: float) -> LayerReading:
    assert node.module is not None
    relu = isinstance(node.module, ReLU)
    return LayerReading(
        title=f"layer {name!r}, {node.module.title()}",
        activation=activation,
        gradient=gradient,
        dead=stuck if relu else math.nan,
        saturated=math.nan if relu else stuck,
        units=node.value.shape[-1] if node.value.ndim else 1,
        learns=any(p.value.ndim > 1 for p in node.module.parameters()),
    )


def _names(model: Module, nodes: list[Node]) -> list[str]:
    """The path of each node's layer; a layer called again gets " (2)" behind it."""
    paths = {id(module): path for path, module in model.named_modules()}
    names: list[str] = []
    for node in nodes:
        path = paths.get(id(node.module)) or type(node.module).__name__.lower()
        calls = sum(name.split(" (")[0] == path for name in names)
        names.append(f"{path} ({calls + 1})" if calls else path)
    return names
