"""Patterns that are found by fitting: which elements are wrong, by what factor, and which term would mend them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np

from ..losses.base import Loss
from .experiment import Experiment
from .report import Row


def same(a: np.ndarray | None, b: np.ndarray) -> bool:
    """Whether two gradients are equal as wholes, to five digits."""
    return a is not None and a.shape == b.shape and bool(np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b))


def constant_ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """c if a = c b everywhere, else None."""
    size = float((b * b).sum())
    if size == 0 or not np.isfinite(size):
        return None
    ratio = float((a * b).sum()) / size
    return ratio if ratio != 0 and np.linalg.norm(a - ratio * b) <= 1e-5 * np.linalg.norm(a) else None


def wrong_elements(row: Row) -> np.ndarray:
    """Where backward's gradient is off by more than a ten-thousandth."""
    a, b = row.by_hand, row.numeric
    if row.wrong is not None and row.wrong.any():
        return row.wrong
    return abs(a - b) > 1e-4 * (abs(a) + abs(b)) + 1e-9 * abs(b).max(initial=0)


def some_places(check: Experiment, row: Row) -> str:
    """Wrong only in some rows or columns, at the targets' classes, or in a few single elements."""
    wrong = wrong_elements(row)
    count = int(wrong.sum())
    if not 0 < count < wrong.size:
        return ""
    for axis, length in enumerate(row.shape):
        hit = wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis))
        whole = wrong.all(axis=tuple(i for i in range(wrong.ndim) if i != axis))
        if wrong.ndim > 1 and np.array_equal(hit, whole) and 2 * hit.sum() <= length:
            places = ", ".join(str(i) for i in np.flatnonzero(hit)[:4])
            return f"some places: wrong exactly at index {places} of axis {axis}; a slice that is off by one?"
    if isinstance(check.module, Loss) and wrong.ndim == 2:
        target = np.array(check.inputs[1])
        if target.dtype.kind in "iu" and target.ndim == 1 and np.array_equal(wrong, np.eye(row.shape[1])[target] > 0):
            return "some places: wrong exactly at the class of the target, and right at all others"
    if 4 * count <= wrong.size:
        at = tuple(int(i) for i in np.argwhere(wrong)[np.argmax(abs(row.by_hand - row.numeric)[wrong])])
        ratio = row.by_hand[at] / row.numeric[at] if row.numeric[at] else np.inf
        return (
            f"single elements: {count} of {wrong.size} wrong, the rest right; "
            f"at {at} backward's gradient is {ratio:.4g} times the right one"
        )
    return ""


def swapped_inputs(check: Experiment, row: Row) -> str:
    """Is this the gradient of another input?"""
    if not row.name.startswith("input "):
        return ""
    for name, value, put in check.targets():
        if name != row.name and name.startswith("input ") and value.shape == row.shape:
            other = check.measure(value, put, row.by_hand).numeric.reshape(row.shape)
            if same(row.by_hand, other) and not same(row.numeric, other):
                return f"swapped: this is the gradient of {name}"
    return ""


def wrong_axis(check: Experiment, row: Row) -> str:
    """Is it a sum of the upstream gradient, but over other axes?"""
    if len(check.upstream) != 1 or row.by_hand.ndim != 1:
        return ""
    upstream = np.array(check.upstream[0])
    sums = [upstream.sum(axis=tuple(i for i in range(upstream.ndim) if i != axis)) for axis in range(upstream.ndim)]
    right = [axis for axis, total in enumerate(sums) if same(row.numeric, total)]
    wrong = [axis for axis, total in enumerate(sums) if same(row.by_hand, total)]
    if right and wrong:
        return f"wrong axis: the sum must leave axis {right[0]} of the upstream gradient, and leaves axis {wrong[0]}"
    return ""


def local_derivative(check: Experiment, row: Row) -> str:
    """For functions that work element by element: what backward multiplies by, and what it should be."""
    if not _elementwise(check, row):
        return ""
    a, b = row.by_hand, row.numeric
    terms = dict(_terms(check, row))
    passed_on = terms.get("1")
    if passed_on is not None and not isinstance(check.module, Loss):
        if same(a, passed_on):
            return "local derivative missing: backward returns the upstream gradient as it is"
        if passed_on.shape == a.shape and same(a * b, passed_on * passed_on):
            return "local derivative upside down: backward divides by it instead of multiplying"
    for name, term in terms.items():
        ratio = constant_ratio(a, term)
        if ratio is not None:
            return f"wrong local derivative: backward takes {_times(ratio, name)} for it"
        ratio = constant_ratio(a - b, term)
        if ratio is not None:
            what = "too much" if ratio > 0 else "missing"
            return f"a term in the local derivative: {_times(abs(ratio), name)} is {what}"
    at = row.worst
    where = " and ".join(f"{value:.4g}" for value in _values_at(check, row, at))
    factor = float(np.array(check.upstream[0])[at]) if check.upstream[0].shape == row.shape else 1.0
    return (
        f"wrong local derivative: where the input is {where}, backward has "
        f"{a[at] / factor:.6g}, and the slope is {b[at] / factor:.6g}"
    )


def _times(ratio: float, name: str) -> str:
    return name if abs(ratio - 1) < 1e-4 else f"{ratio:.4g} times {name}" if name != "1" else f"{ratio:.4g}"


def _values_at(check: Experiment, row: Row, at: tuple[int, ...]) -> Iterator[float]:
    for x in check.inputs:
        if isinstance(x, mx.array) and x.shape == row.shape:
            yield float(np.array(x)[at])


def _elementwise(check: Experiment, row: Row) -> bool:
    """Whether every output depends on the elements of the inputs at its own place only, in forward and backward."""
    arrays = [x for x in check.inputs if isinstance(x, mx.array)]
    if not row.name.startswith("input") or any(True for _ in check.module.parameters()):
        return False
    if isinstance(check.module, Loss):
        return all(x.shape == row.shape for x in arrays)
    shape = check.outputs[0].shape
    try:
        fits = len(check.outputs) == 1 and np.broadcast_shapes(*(x.shape for x in arrays)) == shape
    except ValueError:
        return False
    if not fits or len(arrays) > 1 or row.numeric.size < 2:
        return fits
    own = _one_upstream(check, row)
    return own is not None and not any(np.delete(part.ravel(), 0).any() for part in own)


def _one_upstream(check: Experiment, row: Row) -> tuple[np.ndarray, np.ndarray] | None:
    """The gradients by hand and by differences when only the first element of the output counts."""
    corner = np.zeros(row.shape)
    corner.ravel()[0] = 1
    only = [mx.array(corner, dtype=mx.float64)]
    by_hand = check.gradients(only).get(row.name)
    if by_hand is None:
        return None
    kept = check.upstream, check.outputs
    check.upstream, check.outputs = only, check.forward()
    try:
        value, put = next((value, put) for name, value, put in check.targets() if name == row.name)
        numeric = check.measure(value, put, by_hand).numeric.reshape(row.shape)
    finally:
        check.upstream, check.outputs = kept
    return by_hand, np.where(abs(numeric) > 1e-7 * abs(numeric).max(), numeric, 0)


def _terms(check: Experiment, row: Row) -> Iterator[tuple[str, np.ndarray]]:
    """What a mistaken formula may hold in place of the derivative, times the upstream gradient."""
    loss = isinstance(check.module, Loss)
    upstream: Any = np.array(check.upstream[0]) if not loss else np.ones(row.shape)
    inputs = [np.array(x, dtype=np.float64) for x in check.inputs if isinstance(x, mx.array)]
    names = ["the prediction", "the target"] if loss else ["the input"]
    if len(inputs) > 1 and not loss:
        names = [f"input {i}" for i in range(len(inputs))]
    values: list[tuple[str, Any]] = list(zip(names, inputs))
    if loss:
        values.append(("(prediction - target)", inputs[0] - inputs[1]))
    else:
        values.append(("the output", np.array(check.outputs[0])))
    yield "1", _fold(upstream, row.shape)
    functions: list[tuple[str, Callable[[Any], Any]]] = [
        ("{}", lambda v: v),
        ("(1 - {})", lambda v: 1 - v),
        ("(1 + {})", lambda v: 1 + v),
        ("1 / {}", lambda v: 1 / v),
        ("{} squared", lambda v: v * v),
        ("(1 - {} squared)", lambda v: 1 - v * v),
        ("{} (1 - {})", lambda v: v * (1 - v)),
        ("the sign of {}", np.sign),
    ]
    with np.errstate(all="ignore"):
        for words, function in functions:
            for name, value in values:
                yield words.format(name, name), _fold(upstream * function(value), row.shape)


def _fold(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes along which an input of this shape was repeated."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    return array.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and array.shape[i] != 1), keepdims=True)


def cross_terms(check: Experiment, row: Row) -> str:
    """Where one input moves several outputs: are the terms of its own output right, and those of the others?"""
    if not row.name.startswith("input") or row.numeric.size < 2 or isinstance(check.module, Loss):
        return ""
    if len(check.upstream) != 1 or check.upstream[0].shape != row.shape:
        return ""
    found = _one_upstream(check, row)
    if found is None:
        return ""
    (own_a, *rest_a), (own_b, *rest_b) = (part.ravel() for part in found)
    others_a, others_b = np.array(rest_a), np.array(rest_b)
    if not others_a.any() and others_b.any():
        return "cross terms missing: one input moves several outputs, as through a sum or mean, and backward forgets it"
    if not others_b.any() and not others_a.any():
        return ""
    if (others_a[others_b == 0] != 0).any():
        return "leak: backward sends a gradient to elements that do not move this output; a sum over the wrong axes?"
    own, others = abs(own_a - own_b) <= 1e-5 * abs(own_b), same(others_a, others_b)
    ratio = constant_ratio(others_a, others_b)
    factor = "" if ratio is None else f", {ratio:.4g} times the right ones"
    if own != others:
        return (
            f"cross terms wrong{factor}; an output's own term is right"
            if own
            else (f"an output's own term is wrong, {own_a:.4g} for {own_b:.4g}; the cross terms are right")
        )
    return f"own and cross terms wrong: {own_a:.4g} for {own_b:.4g}, and the cross terms are off{factor or ', too'}"
