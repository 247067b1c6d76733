"""What is inside: the output of any layer for an image, and the filters it looks through."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.module import Module
from ..core.untouched import untouched
from .reach import find_layer, node_of, run


def activation_maps(model: Module, x: Any, layer: str | Module) -> mx.array:
    """The output of a layer when the model sees ``x``, in evaluation mode.

    Args:
        model: left as it was.
        x: (N, ...) inputs.
        layer: its path in the model, such as "0" or "features.3", or the module itself.

    Returns:
        What the layer computed: (N, H, W, channels) for a convolution.

    >>> import miniframe as mf
    >>> model = mf.Sequential(mf.Linear(2, 3), mf.ReLU())
    >>> activation_maps(model, mx.ones((5, 2)), "1").shape
    (5, 3)
    """
    with untouched(model):
        model.eval()
        return node_of(run(model, x), layer).value


def filters(model: Module, layer: str | Module) -> mx.array:
    """The filters of a convolution as pictures: each scaled so that its numbers go from 0 to 1.

    Returns:
        (out_channels, kernel_h, kernel_w, in_channels).

    >>> import miniframe as mf
    >>> filters(mf.models.lenet(), "0").shape
    (6, 5, 5, 1)
    """
    module = find_layer(model, layer)
    weight = getattr(module, "weight", None)
    if weight is None or len(weight.shape) != 4:
        raise ValueError(f"filters: expected a layer with weights (out, kernel_h, kernel_w, in), got {module.title()}")
    value = weight.value
    low = value.min(axis=(1, 2, 3), keepdims=True)
    high = value.max(axis=(1, 2, 3), keepdims=True)
    return (value - low) / mx.maximum(high - low, 1e-12)
