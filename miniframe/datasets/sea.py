"""Drawn pictures of the sea: half of them show a jellyfish, the others something else that lives there.

A jellyfish is a bell with tentacles. Some of the others have a bell alone (a shell) or something like tentacles alone
(weed), in the same colours and at the same angles, so neither is enough to tell: a network has to see both together.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

SIZE = 32  # pixels along each side
SAMPLES = 2  # each pixel is the mean of 2 x 2 points, which smooths the edges
SEA_NAMES = ("something else", "jellyfish")

Grid = np.ndarray  # of numbers, one for each point of a picture


def jellyfish(n: int, seed: int = 0, noise: float = 0.03, masks: bool = False) -> tuple[mx.array, ...]:
    """Colour pictures of the sea, with a jellyfish in every second one.

    Args:
        n: how many pictures; the classes differ by at most one.
        seed: of the random numbers.
        noise: standard deviation of what is added to every pixel.
        masks: whether to return, as a third array, where the animal is.

    Returns:
        (n, 32, 32, 3) float32 images in [0, 1] and (n,) int32 labels: 1 for a jellyfish, 0 for a fish, a starfish, a
        shell, weed or bubbles. On request (n, 32, 32) float32 masks: how much of each pixel the animal covers.

    >>> images, labels = jellyfish(6, seed=0)
    >>> images.shape, sorted(labels.tolist())
    ((6, 32, 32, 3), [0, 0, 0, 1, 1, 1])
    """
    if n < 1 or noise < 0:
        raise ValueError(f"jellyfish: expected at least 1 image and noise >= 0, got {n} and {noise}")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(n) % 2
    images, covers = np.empty((n, SIZE, SIZE, 3), np.float32), np.empty((n, SIZE, SIZE), np.float32)
    for i, label in enumerate(labels):
        draw = _jelly if label else OTHERS[rng.integers(len(OTHERS))]
        covers[i] = cover = _cover(draw, rng)
        water, colour = _water(rng), rng.uniform(0.45, 1, size=3)
        clean = water + rng.uniform(0.6, 0.95) * cover[..., None] * (colour - water)
        images[i] = np.clip(clean + rng.normal(size=clean.shape) * noise, 0, 1)
    arrays = mx.array(images), mx.array(labels.astype(np.int32)), mx.array(covers)
    return arrays if masks else arrays[:2]


def _cover(draw: Callable[[Grid, Grid, np.random.Generator], Grid], rng: np.random.Generator) -> Grid:
    """How much of each pixel the animal covers, 0 to 1: (32, 32)."""
    radius = rng.uniform(5.0, 7.5)
    middle = rng.uniform(11, SIZE - 11, size=2)
    angle = rng.uniform(-0.8, 0.8)
    steps = (np.arange(SIZE * SAMPLES) + 0.5) / SAMPLES
    y, x = (steps[:, None] - middle[0]) / radius, (steps[None, :] - middle[1]) / radius
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = draw(u, v, rng).astype(float)
    return inside.reshape(SIZE, SAMPLES, SIZE, SAMPLES).mean(axis=(1, 3))


def _water(rng: np.random.Generator) -> Grid:
    """Dark at the bottom, lighter at the top, between blue and green: (32, 32, 3)."""
    depth = np.linspace(1, rng.uniform(0.3, 0.7), SIZE)[:, None, None]
    return depth * (rng.uniform((0, 0.1, 0.2), (0.1, 0.35, 0.5))) * np.ones((SIZE, SIZE, 3))


# ---------------------------------------------------------------- the animals: which points (u, v) they cover


def _bell(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    """The upper part of an ellipse, with a wavy rim."""
    return (u**2 + (v / rng.uniform(0.8, 1.1)) ** 2 < 1) & (v < 0.08 * np.cos(9 * u))


def _threads(u: Grid, v: Grid, top: float, rng: np.random.Generator) -> Grid:
    """Four to six wavy lines that hang down from ``top``."""
    found = np.zeros(u.shape, bool)
    for place in np.linspace(-0.75, 0.75, rng.integers(4, 7)):
        end, phase = rng.uniform(1.2, 1.9), rng.uniform(0, 6.28)
        found |= (abs(u - place - 0.1 * np.sin(4 * v + phase)) < 0.09) & (v > top) & (v < end)
    return found


def _jelly(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    return _bell(u, v + 0.4, rng) | _threads(u, v + 0.4, 0, rng)


def _shell(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    return _bell(u / 1.2, (v - 0.4) / 1.2, rng)


def _weed(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    return _threads(u, v, -1.2, rng)


def _fish(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    side = rng.choice((-1, 1)) * u
    body = (side / 1.1) ** 2 + (v / rng.uniform(0.45, 0.65)) ** 2 < 1
    tail = (side < -0.9) & (side > -1.7) & (abs(v) < -0.8 * (side + 0.8))
    eye = (side - 0.65) ** 2 + (v + 0.12) ** 2 < 0.02
    return (body | tail) & ~eye


def _star(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    return np.hypot(u, v) < 0.75 + 0.45 * np.cos(5 * np.arctan2(v, u) + rng.uniform(0, 6.28))


def _bubbles(u: Grid, v: Grid, rng: np.random.Generator) -> Grid:
    found = np.zeros(u.shape, bool)
    for _ in range(rng.integers(3, 6)):
        a, b = rng.uniform(-1.3, 1.3, size=2)
        found |= abs(np.hypot(u - a, v - b) - rng.uniform(0.3, 0.6)) < 0.11
    return found


OTHERS = (_fish, _star, _shell, _weed, _bubbles)
