"""Grids of pictures: images of a data set, the filters of a layer, what a layer makes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.arrays import as_array
from .canvas import bare, panels, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def images(pictures: Any, titles: Sequence[Any] | None = None, columns: int | None = None, size: float = 1.3) -> Figure:
    """A grid of images.

    Args:
        pictures: (N, H, W), (N, H, W, 1) or (N, H, W, 3), values from 0 to 1 (or 0 to 255 for integers).
        titles: one for each, such as the labels.
        columns: images in a row.
        size: of each, in inches.

    >>> len(images(np.zeros((5, 4, 4, 3)), titles="abcde").axes)
    6
    """
    pictures = np.asarray(pictures) if not hasattr(pictures, "detach") else np.asarray(as_array(pictures))
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[-1] not in (1, 3)) or not len(pictures):
        raise ValueError(f"images: expected (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {pictures.shape}")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"images: expected {len(pictures)} titles, got {len(titles)}")
    if pictures.dtype.kind in "iu":
        pictures = pictures / 255
    rows, columns = panels(len(pictures), columns)
    figure, axes = sheet(rows, columns, (size * columns, (size + (0.2 if titles is not None else 0)) * rows))
    for index, ax in enumerate(axes.flat):
        bare(ax)
        if index < len(pictures):
            picture = np.clip(pictures[index], 0, 1)
            ax.imshow(picture.squeeze(-1) if picture.ndim == 3 and picture.shape[-1] == 1 else picture, **_GREY)
            if titles is not None:
                ax.set_title(str(titles[index]), fontsize=8)
    return figure


_GREY: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1}


def filters(layer: Any, columns: int | None = None, limit: int = 64) -> Figure:
    """The filters of a convolution, one picture each: in colour for three input channels, else channel by channel.

    Single channels are drawn from blue (negative) over white (0) to red (positive), on one scale for the whole layer.

    Args:
        layer: with a ``weight`` (out, kernel_h, kernel_w, in), or such an array itself. For more input channels than
            three, each row holds the slices of one filter.
        columns: pictures in a row (for one or three input channels).
        limit: draw at most this many filters, and this many slices of each.

    >>> import miniframe as mf
    >>> len(filters(mf.Conv2d(1, 6, 5)).axes)
    6
    """
    weight = np.array(layer.weight.value if hasattr(layer, "weight") else as_array(layer, where="filters"))
    if weight.ndim != 4:
        raise ValueError(f"filters: expected weights (out, kernel_h, kernel_w, in), got {weight.shape}")
    weight = weight[:limit]
    if weight.shape[-1] == 3:
        low, high = weight.min(), weight.max()
        return images((weight - low) / (high - low or 1), columns=columns, size=0.75)
    if weight.shape[-1] == 1:
        return _signed(weight[..., 0], panels(len(weight), columns))
    slices = weight[..., :limit].transpose(0, 3, 1, 2)
    return _signed(slices.reshape(-1, *weight.shape[1:3]), slices.shape[:2])


def feature_maps(maps: Any, columns: int | None = None, limit: int = 64) -> Figure:
    """What a layer makes of one image: a picture for each channel, bright where it is active.

    Args:
        maps: (H, W, channels) or (1, H, W, channels), such as ``mf.explain.activation_maps(model, x, "conv1")``
            or the ``value`` of a node. Maps of a ReLU are black at 0.
        columns: pictures in a row.
        limit: draw at most this many channels.

    >>> len(feature_maps(np.ones((8, 8, 4))).axes)
    4
    """
    array = np.array(as_array(maps, where="feature_maps"))
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3:
        raise ValueError(f"feature_maps: expected (H, W, channels) or (1, H, W, channels), got {array.shape}")
    chosen = array[..., :limit].transpose(2, 0, 1)
    low, high = min(0.0, float(chosen.min())), float(chosen.max())
    rows, columns = panels(len(chosen), columns)
    figure, axes = sheet(rows, columns, (1.1 * columns, 1.3 * rows))
    for index, ax in enumerate(axes.flat):
        bare(ax)
        if index < len(chosen):
            ax.imshow(chosen[index], cmap="magma", vmin=low, vmax=high if high > low else low + 1)
            ax.set_title(str(index), fontsize=8)
    return figure


def _signed(pictures: np.ndarray, shape: tuple[int, int]) -> Figure:
    """A grid of single-channel pictures around zero."""
    rows, columns = shape
    largest = float(np.abs(pictures).max()) or 1.0
    figure, axes = sheet(rows, columns, (0.75 * columns, 0.75 * rows))
    for ax in axes.flat:
        bare(ax)
    for ax, picture in zip(axes.flat, pictures):
        _draw_signed(ax, picture, largest)
    return figure


def _draw_signed(ax: Axes, picture: np.ndarray, largest: float) -> None:
    ax.imshow(picture, cmap="RdBu_r", vmin=-largest, vmax=largest)
