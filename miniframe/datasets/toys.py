"""Points in the plane, made from a seed: the smallest problems that a network can learn."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from ..core.checks import is_whole, shown

GATES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0), "nand": (1, 1, 1, 0), "nor": (1, 0, 0, 0)}


def disk(n: int, seed: int = 0, noise: float = 0.0) -> tuple[mx.array, mx.array]:
    """Points in the unit square, labelled by whether they lie in a disk of half its area.

    The disk is centred on (0.5, 0.5) and has radius 1/√(2π).

    Args:
        n: how many points.
        seed: of the random numbers.
        noise: standard deviation of what is added to both coordinates once a point has its label; 0 by default.

    Returns:
        (n, 2) float32 points, uniform in [0, 1)² before the noise, and (n,) int32 labels, 1 inside.

    >>> x, labels = disk(1000, seed=0)
    >>> x.shape, labels.shape, 0.45 < labels.mean().item() < 0.55
    ((1000, 2), (1000,), True)
    """
    _check_count("disk", n, noise)
    rng = np.random.default_rng(seed)
    points = rng.random((n, 2), dtype=np.float32)
    inside = ((points - 0.5) ** 2).sum(axis=1) < 1 / (2 * math.pi)
    return _arrays(points + rng.normal(size=(n, 2)) * noise if noise else points, inside)


def xor(n: int, noise: float = 0.0, seed: int = 0) -> tuple[mx.array, mx.array]:
    """Points in four squares around the origin: class 1 where exactly one coordinate is positive.

    Args:
        n: how many points.
        noise: standard deviation of what is added to both coordinates once a point has its label; 0 by default.
        seed: of the random numbers.

    Returns:
        (n, 2) float32 points, uniform in [-1, 1)² before the noise, and (n,) int32 labels.

    >>> x, labels = xor(200)
    >>> bool(((x[:, 0] * x[:, 1] < 0) == labels).all())
    True
    """
    _check_count("xor", n, noise)
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, size=(n, 2))
    labels = (points > 0).sum(axis=1) == 1
    return _arrays(points + rng.normal(size=(n, 2)) * noise, labels)


def moons(n: int, noise: float = 0.1, seed: int = 0) -> tuple[mx.array, mx.array]:
    """Two half circles that reach into each other: the upper one is class 0, the lower one class 1.

        class 0: (cos t, sin t)        class 1: (1 - cos t, 1/2 - sin t)        t in [0, π]

    Args:
        n: how many points; the classes differ by at most one.
        noise: standard deviation of what is added to both coordinates.
        seed: of the random numbers.

    Returns:
        (n, 2) float32 points and (n,) int32 labels.

    >>> x, labels = moons(100)
    >>> x.shape, labels.sum().item()
    ((100, 2), 50)
    """
    _check_count("moons", n, noise)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(n) % 2
    t = rng.random(n) * math.pi
    upper = np.stack([np.cos(t), np.sin(t)], axis=1)
    lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
    return _arrays(np.where(labels[:, None] == 0, upper, lower) + rng.normal(size=(n, 2)) * noise, labels)


def spirals(n: int, arms: int = 2, turns: float = 1.5, noise: float = 0.02, seed: int = 0) -> tuple[mx.array, mx.array]:
    """Spiral arms wound around the origin, one class each.

        r (cos(2π turns r + φ), sin(2π turns r + φ))        r in [0.05, 1], φ = 2π class / arms

    Args:
        n: how many points, shared evenly between the arms.
        arms: the number of classes.
        turns: how often an arm goes round.
        noise: standard deviation of what is added to both coordinates.
        seed: of the random numbers.

    Returns:
        (n, 2) float32 points in about [-1, 1]² and (n,) int32 labels.

    >>> x, labels = spirals(99, arms=3)
    >>> [(labels == k).sum().item() for k in range(3)]
    [33, 33, 33]
    """
    _check_count("spirals", n, noise)
    if arms < 1:
        raise ValueError(f"spirals: expected at least 1 arm, got {arms}")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(n) % arms
    r = 0.05 + 0.95 * np.sqrt(rng.random(n))  # the root spreads the points evenly along the arm
    angle = 2 * math.pi * (turns * r + labels / arms)
    points = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
    return _arrays(points + rng.normal(size=(n, 2)) * noise, labels)


def gate(name: str) -> tuple[mx.array, mx.array]:
    """The truth table of a logic gate: and, or, xor, nand, nor.

    Returns:
        (4, 2) float32 inputs (0, 0), (0, 1), (1, 0), (1, 1) and (4,) int32 outputs.

    >>> x, y = gate("xor")
    >>> x.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    if name not in GATES:
        raise ValueError(f"gate: unknown gate {name!r}; known: {', '.join(GATES)}")
    return _arrays(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array(GATES[name]))


def _arrays(points: np.ndarray, labels: np.ndarray) -> tuple[mx.array, mx.array]:
    return mx.array(points.astype(np.float32)), mx.array(labels.astype(np.int32))


def _check_count(name: str, n: int, noise: float = 0.0) -> None:
    if not is_whole(n) or n < 1:
        raise ValueError(f"{name}: expected at least 1 point, got {shown(n)}")
    if noise < 0:
        raise ValueError(f"{name}: expected noise >= 0, got {noise}")
