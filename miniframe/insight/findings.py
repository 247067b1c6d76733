"""What the flight recorder's numbers mean, in words: one rule for each way in which a training commonly fails.

The rules are asked from cause to consequence, and the first that holds
is the diagnosis: dead ReLUs also make gradients vanish, but they are what has to be mended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .readings import Reading

RATE_HIGH = 0.1  # an update that changes weights by more than a tenth at once
RATE_LOW = 1e-4
DEAD = 0.8  # of a layer's units; at half, trainings still do well and units come back
SATURATED = 0.75  # of a layer's outputs
EXPLODING, VANISHING = 1e3, 1e-4  # gradient at a layer over the gradient at the last one


@dataclass
class Finding:
    """A diagnosis: its kind, the layer, the number of epochs after which it was made, and what to do, in words."""

    kind: str
    layer: str
    epoch: int
    words: str

    def __str__(self) -> str:
        return f"epoch {self.epoch}: {self.words}"


def diagnose(readings: Sequence[Reading]) -> Finding | None:
    """The first rule that holds for the latest of the readings, or None."""
    for rule in (rate_too_high, saturation, dead_units, exploding, vanishing, rate_too_low):
        found = rule(readings)
        if found is not None:
            return Finding(rule.__name__, found[0], readings[-1].epoch, found[1])
    return None


Found = tuple[str, str] | None  # the layer's or weight's name, and the words


def rate_too_high(readings: Sequence[Reading]) -> Found:
    """The loss is no lower than at the start, and a step was as large as a weight; or it is higher, and two were big.

    An early big step alone is no mistake: small initial weights grow fast.
    """
    name, ratio = max((pair for r in readings for pair in r.updates.items()), key=lambda pair: pair[1], default=("", 0))
    recent = [max(r.updates.values()) for r in readings if r.updates][-2:]
    stuck = ratio > 1 and _gained(readings) < 0.02
    rising = len(recent) == 2 and min(recent) > RATE_HIGH and _gained(readings) < -0.05
    if not stuck and not rising:
        return None
    return name, (
        f"the learning rate is too high: one step changed {name!r} by {_percent(ratio)} of its size, and the loss has "
        f"not fallen ({readings[0].loss:.3g} at the start, now {readings[-1].loss:.3g}). Try a tenth of the rate"
    )


def saturation(readings: Sequence[Reading]) -> Found:
    """Most outputs of a Tanh or Sigmoid lie at its limits, where the derivative is 0. The last layer may."""
    for name, layer in list(readings[-1].layers.items())[:-1]:
        if layer.saturated > SATURATED:
            return name, (
                f"{layer.title} is saturated: {_percent(layer.saturated)} of its outputs are at the limits, where the "
                "slope is 0, so little gradient passes. Scale the inputs to mean 0 and variance 1, start from smaller "
                "weights, or put BatchNorm before it"
            )
    return None


def dead_units(readings: Sequence[Reading]) -> Found:
    """Many units of a ReLU are 0 for every sample: they receive no gradient and cannot recover."""
    for name, layer in readings[-1].layers.items():
        if layer.dead > DEAD:
            return name, (
                f"{round(layer.dead * layer.units)} of the {layer.units} units of {layer.title} are dead: 0 for every "
                "sample, so they learn nothing. Try a smaller learning rate, biases that start at 0, or LeakyReLU"
            )
    return None


def exploding(readings: Sequence[Reading]) -> Found:
    """The gradient grows by more than a thousand on its way back from the last layer with weights."""
    name, factor = max(_gradients(readings[-1]), key=lambda pair: pair[1], default=("", 0.0))
    if factor <= EXPLODING:
        return None
    return name, (
        f"the gradient explodes: at {readings[-1].layers[name].title} it is {factor:.1g} times that of the last layer. "
        "Start from smaller weights, put normalization between the layers, or clip the gradients"
    )


def vanishing(readings: Sequence[Reading]) -> Found:
    """The gradient shrinks to less than a ten-thousandth on its way back from the last layer with weights."""
    name, factor = min(_gradients(readings[-1]), key=lambda pair: pair[1], default=("", 1.0))
    if factor >= VANISHING:
        return None
    return name, (
        f"the gradient vanishes: at {readings[-1].layers[name].title} it is {factor:.1g} of that of the last layer. "
        "Use ReLU with He's initial weights, normalization or residual connections, or fewer layers"
    )


def rate_too_low(readings: Sequence[Reading]) -> Found:
    """Three measured steps in a row changed no weight by a ten-thousandth, and the loss has hardly moved."""
    recent = [max(r.updates.values()) for r in readings if r.updates][-3:]
    if len(recent) < 3 or max(recent) >= RATE_LOW or abs(_gained(readings)) > 0.01:
        return None
    name, ratio = max(readings[-1].updates.items(), key=lambda pair: pair[1], default=("", recent[-1]))
    return name, (
        f"the learning rate is too low: one step changes no weight by more than {ratio:.1g} of its size, and the loss "
        f"has hardly moved ({readings[0].loss:.4g} at the start, now {readings[-1].loss:.4g}). Try ten times the rate"
    )


def _gained(readings: Sequence[Reading]) -> float:
    """By which fraction the loss has fallen since the first reading; -infinity when it is no longer finite."""
    first, last = readings[0].loss, readings[-1].loss
    return (first - last) / max(abs(first), 1e-12) if math.isfinite(last) else -math.inf


def _gradients(reading: Reading) -> list[tuple[str, float]]:
    """(layer, its gradient over that of the last layer with weights), for the layers with weights."""
    learning = {name: layer.gradient for name, layer in reading.layers.items() if layer.learns}
    last = list(learning.values())[-1] if learning else 0.0
    return [(name, gradient / last) for name, gradient in learning.items()] if last > 0 else []


def _percent(fraction: float) -> str:
    return f"{fraction:.0%}" if fraction < 100 else f"{fraction:.1g} times"
