"""Corners that add up: where a number moves several ties at once, backward's choice may lie outside of both slopes.

A plain area of a picture gives exact ties: every pixel under a window of MaxPool2d is the largest, and a ReLU may sit
at 0 in many places. Moving one pixel then meets several corners, whose upstream gradients have both signs, and the
slopes to the right and to the left are sums that take the largest of some and the smallest of others. A backward that
chooses one winner everywhere is right, and its sum need not lie between the two. So there are two questions instead:

1. Is backward right a little beside, where the ties are broken and there is a derivative?
2. Is each layer's own choice possible right at the corner? Alone, with positive upstream gradients, all corners of one
   kind bend the same way, so that the choice lies between the slopes, along every direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import is_floating
from ..core.cells import put_values, values_of
from ..core.module import Module
from ..losses.base import Loss
from .differences import STEP, changes
from .experiment import Experiment
from .report import Report, Row, relative_error
from .rounding import layer_calls
from .settle import Measured, settle, typical_size
from .verdict import judge

BESIDE = 1e-3  # how far, in units of the numbers' size: much more than the steps, and still near
DIRECTIONS = 6  # along which each kind of corner is looked at, half of them into one quadrant


def look_beside(check: Experiment, report: Report) -> None:
    """Let rows pass that fail at corners only, if backward is right beside them and every layer right at them."""
    failed = [row for row in report.rows if not row.passed]
    if not failed or not all(_fails_at_corners_only(row) for row in failed):
        return
    if not _layers_choose_well(check):
        return
    for row in failed:
        _judge_beside(check, row)


def _fails_at_corners_only(row: Row) -> bool:
    if row.trouble or row.missing or row.wrong is None or row.corner is None or not row.wrong.any():
        return False
    rest = ~row.corner
    error = relative_error(row.by_hand[rest], row.numeric[rest])
    return bool(rest.any() and not (row.wrong & rest).any() and error <= row.tolerance)


# -------------------------------------------------------------------- 1. beside


def _judge_beside(check: Experiment, row: Row) -> None:
    """Compare the elements at which the row failed where everything has been moved a little, and tell the row."""
    places = np.flatnonzero(np.array(row.wrong))
    rng = np.random.default_rng([check.seed, 3])
    cells = list(check.module.parameters())
    before = values_of(cells)
    try:
        put_values(cells, [_moved(value, rng) for value in before])
        count = 1 if isinstance(check.module, Loss) else len(check.inputs)  # a loss's targets stay
        inputs = [_moved(x, rng) if k < count else x for k, x in enumerate(check.inputs)]
        near = Experiment(check.module, tuple(inputs), check.loss, check.target, check.seed, check.tolerance)
        a = near.gradients().get(row.name)
        value, put = next((value, put) for name, value, put in near.targets() if name == row.name)
        if a is None:
            return
        found = _measured(near, value, put, a.ravel(), places)
        x = np.array(value, dtype=np.float64).ravel()[places]
        beside = judge(row.name, x, a.ravel()[places], found, check.tolerance, near.size)
    except (ValueError, TypeError):  # beside, the module refuses its inputs
        return
    finally:
        put_values(cells, before)
    row.evaluations += near.evaluations
    if beside.passed and 2 * (beside.kinks + beside.unclear) < len(places):
        rest = ~row.corner if row.corner is not None else np.ones(row.shape, bool)
        row.error = max(relative_error(row.by_hand[rest], row.numeric[rest]), beside.error)
        row.beside, row.wrong = len(places), np.zeros(row.shape, dtype=bool)


def _moved(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, mx.array) or not is_floating(value):
        return value
    numbers = np.array(value, dtype=np.float64)
    return mx.array(numbers + BESIDE * typical_size(value) * rng.normal(size=numbers.shape), dtype=mx.float64)


def _measured(
    check: Experiment, value: mx.array, put: Callable[[mx.array], None], a: np.ndarray, places: np.ndarray
) -> Measured:
    """The derivatives along some elements; see ``Experiment.measure``."""
    scale, n = typical_size(value), len(places)
    function, rounding = check.change(value, put, sizes=True), check.rounding

    def again(chosen: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        check.evaluations += 2 * len(chosen)
        return changes(function, value, check.bytes_of_a_forward, places[chosen], h)

    with check.differentiating():
        right, left = (side[:, 0] for side in again(np.arange(n), np.full(n, STEP * scale)))
        zeros = np.zeros(n)
        found = Measured((right + left) / 2, right, left, zeros, np.zeros(n, dtype=bool), zeros.copy())
        x = np.array(value, dtype=np.float64).ravel()[places]
        if not found.agrees(a[places], check.tolerance).all():
            settle(again, x, scale, rounding, check.size, a[places], found, check.tolerance)
    return found


# -------------------------------------------------------------------- 2. at the corner, layer by layer


def _layers_choose_well(check: Experiment) -> bool:
    """Whether some layer has corners here, and in each that has them backward's choice is possible."""
    verdicts = [
        _chooses_well(alone, check.seed)
        for layer, inputs in _calls(check)
        for alone in [_alone(layer, inputs, check)]
        if _has_corners(alone, check.seed)
    ]
    return bool(verdicts) and all(verdicts)


def _calls(check: Experiment) -> Iterator[tuple[Module, tuple[Any, ...]]]:
    calls = [(layer, inputs) for _, layer, inputs in layer_calls(check.module, check.inputs, check.seed)]
    yield from calls or [(check.module, tuple(check.inputs))]
    if check.loss is not None:
        yield check.loss, (check.module(*check.inputs), check.target)


def _alone(layer: Module, inputs: tuple[Any, ...], check: Experiment) -> Experiment:
    alone = Experiment(layer, inputs, seed=check.seed, tolerance=check.tolerance)
    alone.upstream = [abs(y) for y in alone.upstream]
    return alone


Direction = list[tuple[Callable[[mx.array], None], mx.array, np.ndarray]]  # (put, where, how far) for each input


def _inputs(alone: Experiment) -> Iterator[tuple[str, mx.array, Callable[[mx.array], None]]]:
    names = {name for name, _ in alone.module.named_parameters()}
    return (target for target in alone.targets() if target[0] not in names)


def _slope(alone: Experiment, direction: Direction, h: float) -> float:
    """How steep the function is when all inputs move along a direction at once, by h."""
    try:
        for put, value, along in direction:
            put(value + mx.array(h * along, dtype=mx.float64))
        moved = alone.forward()
    finally:
        for put, value, _ in direction:
            put(value)
    with alone.differentiating():
        return sum(float(((y - base) * u).sum()) for y, base, u in zip(moved, alone.outputs, alone.upstream)) / h


def _has_corners(alone: Experiment, seed: int) -> bool:
    """Whether the slopes on both sides stay apart, however short the step, when all inputs move at random."""
    rng = np.random.default_rng([seed, 4])
    direction = [(put, value, rng.normal(size=value.shape)) for _, value, put in _inputs(alone)]
    gaps, sizes = [], []
    for h in (4e-5, 5e-6):
        right, left = _slope(alone, direction, h), _slope(alone, direction, -h)
        gaps.append(right - left)
        sizes.append(abs(right) + abs(left) + alone.size)
    return bool(abs(gaps[1]) > 0.5 * abs(gaps[0]) and abs(gaps[1]) > 1e-7 * sizes[1])


def _chooses_well(alone: Experiment, seed: int) -> bool:
    """Whether backward's gradient lies between the slopes, along every input and along random directions."""
    by_hand = alone.gradients()
    bends: list[tuple[Callable[[mx.array], None], mx.array, np.ndarray, np.ndarray]] = []
    for name, value, put in _inputs(alone):
        a = by_hand.get(name)
        if a is None:
            return False
        found = alone.measure(value, put, a)
        row = judge(name, np.array(value, dtype=np.float64), a, found, alone.tolerance, alone.size)
        if row.wrong is None or row.wrong.any():
            return False
        bend = np.sign(row.right - row.left) * (row.corner | (row.by_hand == row.numeric))
        bends.append((put, value, a, bend))
    rng = np.random.default_rng([seed, 5])
    for kind in (1, -1):
        for k in range(DIRECTIONS):
            drawn = [rng.normal(size=a.shape) * (bend == kind) for _, _, a, bend in bends]
            drawn = [abs(d) for d in drawn] if 2 * k < DIRECTIONS else drawn
            direction = [(put, value, d) for (put, value, _, _), d in zip(bends, drawn)]
            claimed = sum(float((a * d).sum()) for (_, _, a, _), d in zip(bends, drawn))
            sides = [_slope(alone, direction, h) for h in (STEP, -STEP)]
            margin = 1e-6 * (abs(sides[0]) + abs(sides[1]) + alone.size)
            if not min(sides) - margin <= claimed <= max(sides) + margin:
                return False
    return True
