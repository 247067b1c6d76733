"""A convolutional classifier so small that each of its weights can be perturbed in turn."""

from __future__ import annotations

from ..core.sequential import Sequential
from ..layers import Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU


def toy_classifier(num_classes: int = 5) -> Sequential:
    """Four convolutions, 4,381 weights for five classes, made to be proven. (N, H, W, 3) -> (N, num_classes).

    ``check_gradients`` moves every weight up and down by a small step and looks at the 8,762 losses.

    Args:
        num_classes: how many logits it returns; 5 by default.

    >>> sum(p.size for p in toy_classifier().parameters())
    4381
    """
    return Sequential(
        Conv2d(3, 8, 3, padding=1),
        ReLU(),
        Conv2d(8, 8, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Conv2d(8, 16, 3, padding=1),
        ReLU(),
        Conv2d(16, 16, 3, padding=1),
        ReLU(),
        GlobalAvgPool2d(),
        Linear(16, num_classes),
    )
