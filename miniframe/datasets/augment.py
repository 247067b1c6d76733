"""Augmentation: random changes that leave the label alone, so that a data set seems larger than it is.

Each takes a batch of images (N, H, W, C) and draws a change for every one of them from MLX's random numbers, so that
``mf.seed`` makes it repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array
from ..data.arrays import batches

Change = Callable[[mx.array], mx.array]


def random_flip(images: mx.array, p: float = 0.5) -> mx.array:
    """Mirror each image left to right with probability p.

    >>> random_flip(mx.arange(3).reshape(1, 1, 3, 1), p=1.0).flatten().tolist()
    [2, 1, 0]
    """
    _check(images, "random_flip")
    flip = mx.random.bernoulli(float(p), (len(images), 1, 1, 1))
    return mx.where(flip, images[:, :, ::-1], images)


def random_crop(images: mx.array, size: int | tuple[int, int], padding: int = 0) -> mx.array:
    """Cut a window out of each image, at a random place, after adding ``padding`` zeros on every side.

    Args:
        images: (N, H, W, C).
        size: height and width of the window, or one number for both.
        padding: pixels of zeros around the image first.

    >>> random_crop(mx.zeros((5, 32, 32, 3)), 24).shape
    (5, 24, 24, 3)
    """
    _check(images, "random_crop")
    height, width = (size, size) if isinstance(size, int) else size
    room = images.shape[1] + 2 * padding - height, images.shape[2] + 2 * padding - width
    if min(room) < 0 or min(height, width) < 1 or padding < 0:
        raise ValueError(
            f"random_crop: expected a window within {images.shape[1]}x{images.shape[2]} padded by {padding}, "
            f"got {height}x{width}"
        )
    padded = mx.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    n = len(images)
    top, left = (mx.random.randint(0, free + 1, (n, 1, 1)) for free in room)
    rows, columns = top + mx.arange(height)[:, None], left + mx.arange(width)
    return padded[mx.arange(n)[:, None, None], rows, columns]


def random_shift(images: mx.array, pixels: int) -> mx.array:
    """Move each image by up to ``pixels`` up or down and left or right; what is uncovered becomes 0.

    >>> random_shift(mx.ones((2, 4, 4, 1)), 1).shape
    (2, 4, 4, 1)
    """
    _check(images, "random_shift")
    return random_crop(images, (images.shape[1], images.shape[2]), padding=pixels)


def augmented(
    images: Any, labels: Any, batch_size: int, *changes: Change, seed: int | None = None
) -> Callable[[], Iterator[tuple[mx.array, mx.array]]]:
    """Data for ``fit`` whose images differ in every epoch: shuffled batches, each sent through the changes.

    Args:
        images: (N, H, W, C).
        labels: (N,) or (N, ...), one for each image.
        batch_size: images in a batch.
        changes: functions from a batch of images to another, such as ``random_flip``.
        seed: of the order of the first epoch; by default drawn from MLX's random numbers.

    >>> import miniframe as mf
    >>> x, labels = mf.datasets.shapes(10)
    >>> epoch = augmented(x, labels, 5, random_flip, lambda images: random_shift(images, 2))
    >>> [batch.shape for batch, _ in epoch()]
    [(5, 32, 32, 3), (5, 32, 32, 3)]
    """
    images = as_array(images, where="augmented")
    _check(images, "augmented")
    epochs = 0

    def epoch() -> Iterator[tuple[mx.array, mx.array]]:
        nonlocal epochs
        order = None if seed is None else seed + epochs
        epochs = epochs + 1
        for batch, target in batches(images, labels, batch_size, shuffle=True, seed=order):
            for change in changes:
                batch = change(batch)
            yield batch, target

    return epoch


def _check(images: mx.array, name: str) -> None:
    if images.ndim != 4:
        raise ValueError(f"{name}: expected images (batch, height, width, channels), got {images.shape}")
