"""Is there a jellyfish in it? A convolutional network with one answer, so small that each of its weights is proven."""

from __future__ import annotations

from ..core.sequential import Sequential
from ..layers import BatchNorm, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU


def jellyfish() -> Sequential:
    """Three convolutions, one logit, 4,381 weights, for :func:`miniframe.datasets.jellyfish`. (N, H, W, 3) -> (N, 1).

    Above 0 the answer is yes. A proof of its gradient, ``check_gradients``, moves every weight up and down by a small
    step and looks at the 8,762 losses; before training it is wrong about half the time, like a coin, and after a
    minute it knows.

    >>> import mlx.core as mx
    >>> model = jellyfish()
    >>> sum(p.size for p in model.parameters()), model(mx.zeros((2, 32, 32, 3))).shape
    (4381, (2, 1))
    """
    return Sequential(
        {
            "conv1": Conv2d(3, 7, 3, padding=1, bias=False),  # 32x32x7
            "norm1": BatchNorm(7),
            "relu1": ReLU(),
            "pool1": MaxPool2d(2),  # 16x16x7
            "conv2": Conv2d(7, 13, 3, padding=1, bias=False),
            "norm2": BatchNorm(13),
            "relu2": ReLU(),
            "pool2": MaxPool2d(2),  # 8x8x13
            "conv3": Conv2d(13, 28, 3, padding=1),  # 8x8x28, each place sees 18x18 pixels
            "relu3": ReLU(),
            "mean": GlobalAvgPool2d(),
            "answer": Linear(28, 1),
        }
    )
