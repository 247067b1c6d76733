"""Where a class is seen: the channels of a layer, weighted by what they mean to the score."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.module import Module
from ..core.untouched import untouched
from .reach import chosen_scores, node_of, run


def grad_cam(model: Module, images: Any, layer: str | Module, target: Any = None) -> mx.array:
    """A heat map of the evidence for a class, at any layer that still has the form of an image.

        α[c] = mean over the pixels of ∂ score / ∂ A[i, j, c]        CAM = max(0, Σ α[c] A[:, :, c])

    A is the layer's output. The map is enlarged to the image's size, and scaled so that its largest value is 1.
    Selvaraju et al. 2017.

    Args:
        model: whose output is (N, classes); asked in evaluation mode, and left as it was.
        images: (N, H, W, C).
        layer: its path in the model, such as "features.3", or the module itself; late ones speak of objects.
        target: the class in question: one for all, (N,) of them, or None for the predicted ones.

    Returns:
        (N, H, W), from 0 to 1; all 0 where nothing speaks for the class.

    Raises:
        ValueError: for a layer whose output is not (N, H, W, channels).

    >>> import miniframe as mf
    >>> grad_cam(mf.models.lenet(), mx.random.normal((2, 28, 28, 1)), "3").shape
    (2, 28, 28)
    """
    images = as_array(images, where="grad_cam")
    with untouched(model):
        model.eval()
        seen = run(model, images)
        node, output = node_of(seen, layer), seen.outputs[0]
        if node.value.ndim != 4:
            raise ValueError(f"grad_cam: expected a layer with output (batch, H, W, channels), got {node.value.shape}")
        _, pick = chosen_scores(output.value, target)
        output.backward(pick)
        if node.grad is None:
            raise ValueError("grad_cam: the score does not depend on this layer")
        weights = node.grad.mean(axis=(1, 2), keepdims=True)
        maps = mx.maximum((weights * node.value).sum(axis=-1), 0)
    maps = enlarge(maps, images.shape[1:3])
    return maps / mx.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)


def enlarge(maps: mx.array, size: tuple[int, ...]) -> mx.array:
    """(N, h, w) maps at another size, by linear interpolation along rows and columns, pixel centres in place.

    >>> enlarge(mx.array([[[0.0, 1.0]]]), (1, 4)).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    rows, columns = (mx.array(_weights(old, new)) for old, new in zip(maps.shape[1:], size))
    return rows @ maps @ columns.T


def _weights(old: int, new: int) -> np.ndarray:
    """(new, old): how much each old pixel adds to each new one."""
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = abs(place[:, None] - np.arange(old))
    return np.maximum(1 - distance, 0).astype(np.float32)


def overlay(images: Any, maps: Any, strength: float = 0.6) -> mx.array:
    """Heat maps drawn over their images: from red over yellow to white as the map grows, the image paler where it is 0.

    Args:
        images: (N, H, W, 3) or (N, H, W, 1), from 0 to 1.
        maps: (N, H, W), from 0 to 1, such as ``grad_cam`` gives.
        strength: how much of the picture the heat takes where the map is 1.

    Returns:
        (N, H, W, 3), from 0 to 1.

    >>> overlay(mx.zeros((1, 1, 1, 3)), mx.ones((1, 1, 1)), strength=1.0).flatten().tolist()
    [1.0, 1.0, 1.0]
    """
    images, maps = as_array(images, where="overlay"), as_array(maps, where="overlay")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or maps.shape != images.shape[:3]:
        raise ValueError(
            f"overlay: expected images (N, H, W, 3 or 1) and maps (N, H, W), got {images.shape}, {maps.shape}"
        )
    grey = mx.broadcast_to(images.mean(axis=-1, keepdims=True), (*images.shape[:3], 3))
    heat = mx.stack([mx.minimum(3 * maps, 1), mx.clip(3 * maps - 1, 0, 1), mx.clip(3 * maps - 2, 0, 1)], axis=-1)
    share = (strength * maps)[..., None]
    return mx.clip((1 - share) * (0.5 * grey + 0.5 * images) + share * heat, 0, 1)
