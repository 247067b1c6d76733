"""The verdict on one gradient: which elements can be compared, and how far the others are apart."""

from __future__ import annotations

import numpy as np

from .report import Row, relative_error
from .settle import Measured, typical_size

ONE_ELEMENT = 1e-4  # an element that is this far off is wrong, however small a part of the whole it is
NOTHING = "nothing compared: "
AT_CORNERS = (
    NOTHING + "the function has a corner at every element; move the input away from the corners, as by random numbers"
)
HIDDEN = NOTHING + "rounding hides the derivative; choose inputs and weights of about the same size, near 1"
EMPTY_ARRAY = NOTHING + "the array has no elements; give the check at least one sample"


def judge(name: str, x: np.ndarray, a: np.ndarray, found: Measured, tolerance: float, whole: float) -> Row:
    """Compare backward's gradient ``a`` with the differences; ``whole`` is how large the function's terms are."""
    b, doubt = found.numeric.reshape(x.shape), found.doubt.reshape(x.shape)
    right, left = found.right.reshape(x.shape), found.left.reshape(x.shape)
    own = np.maximum(abs(a), abs(b))
    typical = typical_size(x)
    scale = found.size.reshape(x.shape) / np.maximum(abs(x), typical)  # the layer's own
    nothing = 1e-20 * whole / typical
    kink = found.kink.reshape(x.shape) & _between(a, right, left)
    with np.errstate(invalid="ignore"):
        clear = doubt <= 1e-2 * own
        usual = float(np.sqrt(np.mean(np.square(b[clear])))) if clear.any() else 0.0
        hidden = np.isfinite(a) & np.isfinite(b) & ~clear & (doubt > 1e-3 * usual) & (doubt > 1e-6 * scale) & ~kink
    used = ~kink & ~hidden
    error = relative_error(a[used], b[used], max(3 * float(np.linalg.norm(doubt[used])) / tolerance, nothing, 1e-300))
    with np.errstate(invalid="ignore", divide="ignore"):
        rounding = 3 * doubt + 1e-15 * scale + 1e-14 * whole / typical
        wrong = used & (abs(a - b) > ONE_ELEMENT * (abs(a) + abs(b)) + rounding)
        if wrong.any() and error <= tolerance:
            error = float((abs(a - b) / (abs(a) + abs(b)))[wrong].max())
    row = Row(name, x.shape, error, a, b, right, left, False, int(kink.sum()), tolerance, int(hidden.sum()))
    row.wrong = wrong
    row.corner = found.kink.reshape(x.shape)
    if not used.any():
        row.trouble = EMPTY_ARRAY if not x.size else AT_CORNERS if kink.any() else HIDDEN
        row.diagnosis = row.trouble
    return row


def _between(a: np.ndarray, right: np.ndarray, left: np.ndarray) -> np.ndarray:
    low, high = np.minimum(right, left), np.maximum(right, left)
    margin = 1e-6 * (abs(low) + abs(high))
    return (a >= low - margin) & (a <= high + margin)
