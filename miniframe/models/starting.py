"""Starting weights for networks so deep that the size of the activations must not change from layer to layer."""

from __future__ import annotations

from typing import TypeVar

from ..core.module import Module
from ..layers import Conv2d, initializers

M = TypeVar("M", bound=Module)


def he_start(model: M) -> M:
    """Give every convolution weights from N(0, 2 / fan_in) and no bias (He et al. 2015); returns the model.

    >>> model = he_start(Conv2d(8, 4, 3))
    >>> model.bias.value.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    for module in model.modules():
        if isinstance(module, Conv2d):
            module.weight.value = initializers.kaiming_normal(module.weight.shape)
            if module.bias is not None:
                module.bias.value = initializers.zeros(module.bias.shape)
    return model
