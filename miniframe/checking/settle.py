"""Steps that suit each element: where a first difference disagrees with backward, many more steps decide.

A step is too long where the function curves within it and too short where rounding shows, and both depend on the
number, on its neighbours and on the layer. So the steps shrink eightfold again and again, Richardson's extrapolation
R = (64 D(h/8) - D(h)) / 63 removes the error of order h², and the value is taken where two of them agree best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from .differences import STEP, slopes_differ

SHRINK = 8.0
FEW = 256  # elements for which every ladder of steps is worth its time
Slopes = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # (places, steps) -> right, left


@dataclass
class Measured:
    """The derivative along each element, as far as differences can tell.

    Attributes:
        numeric: the derivative; NaN where the function gives no finite numbers.
        right, left: the one-sided slopes at the step that was taken.
        doubt: how far ``numeric`` may be off; 0 where the first step agreed with backward.
        kink: where the slopes of the two sides stay apart however short the step.
        size: the sum of what the element changes, by absolute value: the layer's own scale.
    """

    numeric: np.ndarray
    right: np.ndarray
    left: np.ndarray
    doubt: np.ndarray
    kink: np.ndarray
    size: np.ndarray

    def agrees(self, a: np.ndarray, tolerance: float) -> np.ndarray:
        """Where backward's ``a`` says the same, element by element."""
        with np.errstate(invalid="ignore"):
            return abs(a - self.numeric) <= tolerance * (abs(a) + abs(self.numeric)) + 3 * self.doubt

    def put(self, where: np.ndarray, other: Measured) -> None:
        for name, array in vars(self).items():
            array[where] = getattr(other, name)


def typical_size(value: mx.array | np.ndarray) -> float:
    """What steps are measured by: 1, or the size of the numbers where that is far from 1."""
    numbers = np.array(value, dtype=np.float64)
    numbers = abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    size = float(np.median(numbers)) if numbers.size else 1.0
    return size if not 1e-2 < size < 1e2 else 1.0


def settle(
    slopes: Slopes,
    x: np.ndarray,
    scale: float,
    rounding: float,
    whole: float,
    a: np.ndarray,
    first: Measured,
    tolerance: float,
) -> None:
    """Improve ``first`` where it disagrees with ``a``; everything flat.

    Args:
        slopes: from places and steps to the slopes, each with the size of what changed beside it.
        x: the numbers that are moved; ``scale`` is their typical size.
        rounding: the relative error of the function's arithmetic; ``whole`` is how large its terms are.
        a: backward's gradient.
        tolerance: up to which the first step is believed.
    """
    doubtful = np.flatnonzero(~first.agrees(a, tolerance))
    corners = doubtful[:0]
    if len(doubtful) > FEW:  # three steps settle most of them
        near = STEP * scale * SHRINK ** np.array([1.0, 0.0, -1.0])
        first.put(doubtful, _ladder(slopes, doubtful, x, np.tile(near, (len(doubtful), 1)), rounding, whole)[0])
        off = abs(a - first.numeric)[doubtful]
        vague = (first.doubt[doubtful] > 0.03 * off) & ~first.agrees(a, 10 * tolerance)[doubtful]
        unclear = doubtful[~np.isfinite(first.numeric[doubtful]) | first.kink[doubtful] | vague]
        sure = doubtful[~np.isin(doubtful, unclear)]
        corners = unclear[first.kink[unclear]]
        some = corners[:: max(1, len(corners) // FEW)]  # if all of these are corners, so are the others
        corners = corners[~np.isin(corners, some)]
        doubtful = np.concatenate([unclear[~np.isin(unclear, corners)], sure[:FEW]])
    _climb(slopes, doubtful, x, scale, rounding, whole, first)
    if len(corners) and not first.kink[some].all():
        _climb(slopes, corners, x, scale, rounding, whole, first)


def _climb(
    slopes: Slopes, doubtful: np.ndarray, x: np.ndarray, scale: float, rounding: float, whole: float, first: Measured
) -> None:
    """Improve ``first`` at these places by every step that may suit them."""
    if not len(doubtful):
        return
    own = abs(x[doubtful])
    ladders = [
        np.tile(STEP * scale * SHRINK ** np.arange(5.0, -7, -1), (len(doubtful), 1)),
        np.where(own > 0, own, scale)[:, None] * SHRINK ** -np.arange(1.0, 14),
    ]
    if scale != 1:
        ladders.append(np.tile(SHRINK ** -np.arange(1.0, 10), (len(doubtful), 1)))
    found = [_ladder(slopes, doubtful, x, ladder, rounding, whole) for ladder in ladders]
    best = np.argmin([quality for _, quality in found], axis=0)
    for index, (measured, _) in enumerate(found):
        chosen = best == index
        first.put(doubtful[chosen], Measured(*(array[chosen] for array in vars(measured).values())))


def _ladder(
    slopes: Slopes, places: np.ndarray, x: np.ndarray, steps: np.ndarray, rounding: float, whole: float
) -> tuple[Measured, np.ndarray]:
    """The derivatives at ``places``, each by a row of shrinking steps: where two extrapolations agree best.

    Returns also how well they agree, relative to the derivative or, where that is zero, to rounding.
    """
    n, count = steps.shape
    sides = slopes(np.repeat(places, count), steps.ravel())
    right, left = (side[:, 0].reshape(n, count) for side in sides)
    before, after = (np.maximum(*(side[:, i] for side in sides)).reshape(n, count) for i in (1, 2))
    with np.errstate(all="ignore"):
        central, jump = (right + left) / 2, right - left
        size = np.where(np.isfinite(before), before, 0).max(axis=1)  # of all that any step changes
        size[~central.any(axis=1)] += whole  # which rounding may hide
        inside = abs(x[places])[:, None] * (abs(right) + abs(left))  # what rounding of the number itself may change
        noise = 4 * rounding * (size[:, None] + after + inside) / steps
        better = central[:, 1:] + (central[:, 1:] - central[:, :-1]) / (SHRINK**2 - 1)
        doubt = abs(better[:, 1:] - better[:, :-1]) + noise[:, 2:]
        quality = doubt / (abs(better[:, 1:]) + 10 * noise[:, 2:])
        quality[(steps < 100 * rounding * abs(x[places])[:, None])[:, 2:]] = np.inf
        quality = np.where(doubt == 0, 0, np.where(np.isfinite(quality), quality, np.inf))
        stays = _stays(right, left, jump, noise)
    rows, best = np.arange(n), quality.argmin(axis=1)
    numeric = np.where(np.isinf(quality[rows, best]), np.nan, better[rows, best + 1])
    at = rows, best + 2
    doubt, kink = doubt[rows, best], stays[at]
    lost = (doubt > 0.1 * abs(numeric)) & (doubt > 3 * noise[at]) & ~kink  # no two steps say the same
    doubt = np.where(np.isnan(numeric) | lost, np.inf, doubt)
    middle = np.where(kink, central[at], numeric)
    return Measured(middle, right[at], left[at], doubt, kink, size), quality[rows, best]


def _stays(right: np.ndarray, left: np.ndarray, jump: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Where the gap between the slopes is as wide as one step before and two steps before; a bend would shrink it."""
    clear = slopes_differ(right, left) & (abs(jump) > 10 * noise)
    stays = np.zeros(jump.shape, dtype=bool)
    ratio = abs(jump[:, 1:]) / abs(jump[:, :-1])
    same = (ratio > 0.7) & (ratio < 1.4) & (np.sign(jump[:, 1:]) == np.sign(jump[:, :-1]))
    stays[:, 2:] = clear[:, 2:] & same[:, 1:] & same[:, :-1]
    return stays
