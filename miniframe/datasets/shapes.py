"""Drawn images: one circle, square or triangle each, on a plain noisy ground. The truth about where it is comes along.

Large enough to need a convolution, small enough to learn in a minute, and honest to ask "why": whatever a model looks
at outside the object's box cannot be the reason for its answer.
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

SHAPE_NAMES = ("circle", "square", "triangle")
SIZE = 32  # pixels along each side
SAMPLES = 3  # each pixel is the mean of 3 x 3 points, which smooths the edges
CHUNK = 500  # images drawn at once


def shapes(n: int, seed: int = 0, noise: float = 0.03, boxes: bool = False) -> tuple[mx.array, ...]:
    """Colour images of one circle, square or triangle, of any size, place, rotation and colour.

    Args:
        n: how many images; the classes differ by at most one.
        seed: of the random numbers.
        noise: standard deviation of what is added to every pixel.
        boxes: whether to return, as a third array, the boxes around the objects.

    Returns:
        (n, 32, 32, 3) float32 images in [0, 1] and (n,) int32 labels, see ``SHAPE_NAMES``; on request (n, 4) int32
        boxes: first row, first column, last row + 1, last column + 1.

    >>> images, labels, boxes = shapes(6, boxes=True)
    >>> images.shape, sorted(labels.tolist()), boxes.shape
    ((6, 32, 32, 3), [0, 0, 1, 1, 2, 2], (6, 4))
    """
    if n < 1 or noise < 0:
        raise ValueError(f"shapes: expected at least 1 image and noise >= 0, got {n} and {noise}")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(n) % len(SHAPE_NAMES)
    images, around = np.empty((n, SIZE, SIZE, 3), np.float32), np.empty((n, 4), np.int32)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        cover = _cover(labels[part], rng)
        around[part] = _boxes(cover)
        ground, colour = _colours(len(cover), rng)
        clean = ground + cover[..., None] * (colour - ground)
        images[part] = np.clip(clean + rng.normal(size=clean.shape) * noise, 0, 1)
    arrays = mx.array(images), mx.array(labels.astype(np.int32)), mx.array(around)
    return arrays if boxes else arrays[:2]


def _cover(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the object covers, 0 to 1: (n, 32, 32)."""
    n = len(labels)
    radius = rng.uniform(8, 13, size=(n, 1, 1))  # of the circle around the object
    centre = rng.uniform(radius + 1, SIZE - 1 - radius, size=(2, n, 1, 1))
    angle = rng.uniform(0, 2 * math.pi, size=(n, 1, 1))
    steps = (np.arange(SIZE * SAMPLES) + 0.5) / SAMPLES
    y, x = (steps[:, None] - centre[0]) / radius, (steps[None, :] - centre[1]) / radius
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    circle = u * u + v * v < 0.75**2  # smaller, so that the areas do not give the class away
    square = np.maximum(abs(u), abs(v)) < math.sqrt(0.5)
    triangle = (v > -0.5) & (v + math.sqrt(3) * abs(u) < 1)
    inside = np.select([labels[:, None, None] == k for k in range(3)], [circle, square, triangle])
    return inside.reshape(n, SIZE, SAMPLES, SIZE, SAMPLES).mean(axis=(2, 4))


def _boxes(cover: np.ndarray) -> np.ndarray:
    """(n, 4) boxes around everything covered, ends exclusive."""
    rows, columns = (cover > 0).any(axis=2), (cover > 0).any(axis=1)
    first = [rows.argmax(axis=1), columns.argmax(axis=1)]
    last = [SIZE - np.flip(rows, axis=1).argmax(axis=1), SIZE - np.flip(columns, axis=1).argmax(axis=1)]
    return np.stack(first + last, axis=1)


def _colours(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of ground and object, (n, 1, 1, 3) each: any hue, the ground dark, the object bright."""
    return rng.uniform(0, 0.35, size=(n, 1, 1, 3)), rng.uniform(0.45, 1, size=(n, 1, 1, 3))
