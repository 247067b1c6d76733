"""LeNet-5, the network that read handwritten digits."""

from __future__ import annotations

from ..core.sequential import Sequential
from ..layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU


def lenet(num_classes: int = 10, in_channels: int = 1) -> Sequential:
    """LeCun et al. 1998, with today's ReLU and max pooling; 61,706 parameters. (N, 28, 28, 1) -> (N, num_classes).

    Args:
        num_classes: how many logits it returns; 10 by default.
        in_channels: of the images; 1 by default.

    >>> import mlx.core as mx
    >>> lenet()(mx.zeros((5, 28, 28, 1))).shape
    (5, 10)
    """
    return Sequential(
        Conv2d(in_channels, 6, 5, padding=2),  # 28x28x6
        ReLU(),
        MaxPool2d(2),  # 14x14x6
        Conv2d(6, 16, 5),  # 10x10x16
        ReLU(),
        MaxPool2d(2),  # 5x5x16
        Flatten(),
        Linear(400, 120),
        ReLU(),
        Linear(120, 84),
        ReLU(),
        Linear(84, num_classes),
    )
