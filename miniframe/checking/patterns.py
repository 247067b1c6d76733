"""The patterns that classical mistakes leave in a gradient: each function looks for one, and says what it found.

A pattern is tested by experiment where possible: another upstream gradient, another sample, a transposed weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import mlx.core as mx
import numpy as np

from ..core import random
from ..losses.base import Loss
from .attention_patterns import attention_mistakes, mixed_heads
from .differences import STEP
from .experiment import Experiment
from .fitted import constant_ratio, cross_terms, local_derivative, same, some_places, swapped_inputs, wrong_axis
from .report import Row
from .settle import typical_size


def _forgotten(check: Experiment, row: Row) -> str:
    if row.missing:
        hint = "its accumulate is missing" if not row.name.startswith("input") else "it returns None"
        return f"forgotten: backward gives no gradient at all; {hint}"
    if not row.by_hand.any():
        return "forgotten: backward gives zero everywhere"
    return ""


def _not_a_number(check: Experiment, row: Row) -> str:
    if not all(bool(mx.isfinite(y).all().item()) for y in check.outputs):
        return "not a number: forward itself gives NaN or infinity for these inputs"
    if not np.isfinite(row.by_hand).all():
        return "not a number: backward gives NaN or infinity, as from 0 / 0 or a logarithm of 0"
    if not np.isfinite(row.numeric).all():
        return "not a number: forward gives NaN or infinity a small step away from these inputs"
    return ""


def _random(check: Experiment, row: Row) -> str:
    check.module.zero_grad()
    check.forward()
    random.seed(check.seed + 1)
    if not same(check.backward(check.upstream).get(row.name), row.by_hand):
        return "mask not reused: backward draws random numbers of its own; save forward's mask"
    return ""


def _unstable(check: Experiment, row: Row) -> str:
    if row.name.startswith("input"):
        check.gradients()
        if not same(check.backward(check.upstream).get(row.name), row.by_hand):
            return "a second backward gives another gradient: backward changes what forward saved"
    return ""


def _upstream(check: Experiment, row: Row) -> str:
    if isinstance(check.module, Loss):
        return ""
    found = check.gradients([2 * grad for grad in check.upstream]).get(row.name)
    if same(found, row.by_hand):
        return "upstream gradient ignored: multiply by grad_output"
    if same(found, 4 * row.by_hand):
        return "the upstream gradient enters twice: it must be a factor exactly once"
    if not same(found, 2 * row.by_hand):
        return "backward is not linear in the upstream gradient"
    return ""


def _one_sample(check: Experiment, row: Row) -> str:
    batch = _batch(check)
    if batch < 2 or row.name.startswith("input"):
        return ""
    for sample, words in ((0, "the first"), (batch - 1, "the last")):
        only = [grad * (mx.arange(batch) == sample).reshape(-1, *[1] * (grad.ndim - 1)) for grad in check.upstream]
        if same(check.gradients(only).get(row.name), row.by_hand):
            return f"missing sum over the batch: only {words} sample counts"
    return ""


def _ratio(check: Experiment, row: Row) -> str:
    ratio = constant_ratio(row.by_hand, row.numeric)
    if ratio is None or abs(ratio - 1) < 1e-4:
        return ""
    if math.isclose(ratio, -1, rel_tol=1e-4):
        return "sign: backward's gradient is the negative of the right one"
    sign = "; the sign is wrong too" if ratio < 0 else ""
    for size, direction in ((abs(ratio), "large"), (1 / abs(ratio), "small")):
        names = [name for name, number in _numbers(check) if math.isclose(size, number, rel_tol=1e-4)]
        if names and size != 1:
            return f"constant ratio: {size:.4g} times too {direction}, which is {', or '.join(names[:3])}{sign}"
    return f"constant ratio: backward's gradient is {ratio:.6g} times the right one"


def _numbers(check: Experiment) -> Iterator[tuple[str, float]]:
    """Numbers that a forgotten or superfluous factor may be, with what it means."""
    batch, shape = _batch(check), getattr(check.inputs[0], "shape", ())
    if isinstance(check.module, Loss):
        yield "the batch size: the mean over the batch is missing or superfluous", batch
        yield "the number of elements: the mean (division by n) is missing or superfluous", math.prod(shape)
    else:
        yield "the batch size: a layer sums over the batch, only the loss averages", batch
    yield "2: the factor of a square is missing, or a term is counted twice", 2
    for name, value in vars(check.module).items():
        if not name.startswith("_") and isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, float(value)
            yield f"1 - {name}", 1 - float(value)
            yield f"the root of {name}", math.sqrt(abs(value))
    for axis, size in enumerate(shape[1:], start=1):
        yield f"the length of the input's axis {axis}", size
        yield f"the root of the length of the input's axis {axis}", math.sqrt(size)
    yield "the number of outputs", sum(y.size for y in check.outputs)


def _transposed(check: Experiment, row: Row) -> str:
    if row.by_hand.ndim >= 2 and row.shape[-1] == row.shape[-2]:
        if same(np.swapaxes(row.by_hand, -1, -2), row.numeric):
            return "transposed: backward's gradient is the transpose of the right one"
    for name, parameter in check.module.named_parameters():
        value = parameter.value
        if value.ndim == 2 and value.shape[0] == value.shape[1] and name != row.name:
            check.module.zero_grad()
            check.forward()
            parameter.value = value.T
            other = check.backward(check.upstream).get(row.name)
            parameter.value = value
            if same(other, row.numeric):
                return f"transposed: with the transpose of {name}, backward's gradient would be right"
    return ""


def _mask(check: Experiment, row: Row) -> str:
    """Zeros of the right gradient that backward does not have, or has where it should not."""
    a, b = row.by_hand.ravel(), row.numeric.ravel()
    tiny = 1e-7 * max(abs(b).max(), abs(a).max())
    zero_a, zero_b = abs(a) <= tiny, abs(b) <= tiny
    if (zero_b & ~zero_a).any() and not (zero_a & ~zero_b).any() and (~zero_b).any():
        if constant_ratio(a[~zero_b], b[~zero_b]) is not None:
            return "mask not reused: forward lets these elements change nothing, and backward sends a gradient to them"
    if (zero_a & ~zero_b).any() and not (zero_b & ~zero_a).any() and (~zero_a).any():
        if same(a[~zero_a], b[~zero_a]):
            return f"incomplete: backward gives zero for {int((zero_a & ~zero_b).sum())} elements that matter"
    if (zero_a & ~zero_b).any() and (zero_b & ~zero_a).any() and not (~zero_a & ~zero_b).any():
        return "mask inverted: backward sends the gradient exactly where forward sent nothing"
    return ""


def _wrong_places(check: Experiment, row: Row) -> str:
    if row.by_hand.size < 3 or same(row.by_hand, row.numeric):
        return ""
    a, b = np.sort(row.by_hand, axis=None), np.sort(row.numeric, axis=None)
    if same(a, b) and np.allclose(a, b, rtol=1e-4, atol=1e-9 * abs(b).max()):
        return "the right numbers in the wrong places: transposed, flipped, or reshaped in another order"
    return ""


def _region(check: Experiment, row: Row) -> str:
    """Wrong exactly on one side of zero, as when one branch of a piecewise function was forgotten."""
    if row.name != "input":
        return ""
    wrong = abs(row.by_hand - row.numeric) > 1e-4 * (abs(row.by_hand) + abs(row.numeric))
    x = np.array(check.inputs[0])
    for side, words in ((x < 0, "negative"), (x > 0, "positive")):
        if side.any() and not side.all() and np.array_equal(wrong, side):
            return f"one branch is wrong: all elements with a {words} input, and only those"
    return ""


def _swapped_branches(check: Experiment, row: Row) -> str:
    """Two slopes, each where the other belongs, as from a comparison the wrong way round."""
    if isinstance(check.module, Loss) or len(check.upstream) != 1 or check.upstream[0].shape != row.shape:
        return ""
    upstream = np.array(check.upstream[0])
    hand, right = (np.round(grad / upstream, 6) for grad in (row.by_hand, row.numeric))
    if len(np.unique(right)) == 2 and right.all() and np.array_equal(np.unique(hand), np.unique(right)):
        return "branches swapped: backward has each of the two slopes where the other belongs"
    return ""


def _identity_term(check: Experiment, row: Row) -> str:
    if len(check.upstream) == 1 and check.upstream[0].shape == row.shape:
        ratio = constant_ratio(row.by_hand - row.numeric, np.array(check.upstream[0]))
        if ratio is not None:
            what = "missing" if ratio < 0 else "too much"
            return f"{abs(ratio):.4g} times the upstream gradient is {what}: the path that skips the layer?"
    return ""


def _wrong_place(check: Experiment, row: Row) -> str:
    if row.name == "input" and len(check.outputs) == 1 and check.outputs[0].shape == row.shape:
        x = check.inputs[0]
        check.inputs[0] = check.outputs[0]
        before, check.outputs = check.outputs, check.forward()
        other = _numeric(check, "input")
        check.inputs[0], check.outputs = x, before
        if same(row.by_hand, other):
            return "the derivative is taken at the output instead of the input"
    return ""


def _kink(check: Experiment, row: Row) -> str:
    wrong = abs(row.by_hand - row.numeric) > 1e-4 * (abs(row.by_hand) + abs(row.numeric))
    if row.corner is not None and wrong.any() and row.corner[wrong].all():
        at = row.worst
        return (
            f"kink: the function has a corner at {at}, with slopes {row.left[at]:.4g} and {row.right[at]:.4g}; "
            "backward's value lies outside"
        )
    return ""


PATTERNS: tuple[Callable[[Experiment, Row], str], ...] = (
    _forgotten,
    _not_a_number,
    _kink,
    _random,
    _unstable,
    _upstream,
    _one_sample,
    attention_mistakes,
    mixed_heads,
    _ratio,
    _transposed,
    _mask,
    _wrong_places,
    _region,
    _swapped_branches,
    some_places,
    swapped_inputs,
    wrong_axis,
    _identity_term,
    _wrong_place,
    local_derivative,
    cross_terms,
)


# -------------------------------------------------------------------- measuring


def _numeric(check: Experiment, name: str) -> np.ndarray:
    """The differences of one row anew, after something in the check was changed."""
    outputs, check.outputs = check.outputs, check.forward()
    for found, value, put in check.targets():
        if found == name:
            right, left = check.slopes(value, put, STEP * typical_size(value))
            check.outputs = outputs
            return (right + left) / 2
    raise KeyError(name)


def _batch(check: Experiment) -> int:
    shape = getattr(check.inputs[0], "shape", ())
    shared = isinstance(check.module, Loss) or all(y.shape[:1] == shape[:1] for y in check.outputs)
    return int(shape[0]) if shape and shared else 0
