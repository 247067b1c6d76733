"""Which layer is wrong, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import is_floating
from ..core.module import Module
from ..losses.base import Loss
from .experiment import Experiment
from .patterns import PATTERNS
from .report import Report, Row
from .rounding import layer_calls

NO_PATTERN = "no known pattern"


def explain(check: Experiment, report: Report) -> None:
    """Complete a failed report: the layers that are wrong by themselves, and a diagnosis for each failed row."""
    report.culprits = list(_culprits(check))
    if report.culprits:
        return
    if not report.passed:
        calls = list(_layer_calls(check))
        outside = [f"layer {path}, {layer.title()}" for path, layer, inputs in calls if _keeps(check, layer, inputs)]
        if outside:
            report.remark = (
                f"{', and '.join(outside)}, keeps its input outside `saved`: used a second time, it forgets the first; "
                "put all that backward needs in self.saved"
            )
            return
    for row in report.rows:
        if not row.passed and not row.diagnosis:
            row.diagnosis = diagnose(check, row)
    if check.loss is not None or any(True for _ in _layer_calls(check)):
        report.remark = "every layer is right by itself: the mistake is in the backward that connects them"


def _culprits(check: Experiment) -> Iterator[tuple[str, Report]]:
    """(path, report) for every layer, and the loss, that fails a check of its own, on the inputs that it received."""
    for path, module, inputs in _layer_calls(check):
        inner = Experiment(module, inputs, seed=check.seed, tolerance=check.tolerance)
        report = inner.report()
        if not report.passed:
            for row in report.rows:
                if not row.passed and not row.diagnosis:
                    row.diagnosis = diagnose(inner, row)
            yield path, report


def _keeps(check: Experiment, layer: Module, inputs: tuple[Any, ...]) -> bool:
    """Whether backward, with its own ``saved`` put back, still sees another call that came in between."""
    if isinstance(layer, Loss):
        return False
    alone = Experiment(layer, inputs, seed=check.seed)
    right = alone.gradients()
    layer.zero_grad()
    alone.forward()
    kept, first = layer.kept, list(alone.inputs)
    alone.inputs = [_other(x) for x in first]
    try:
        alone.forward()
    except (ValueError, TypeError):
        return False
    finally:
        alone.inputs = first
    layer.saved = kept
    try:
        again = alone.backward(alone.upstream)
    except (ValueError, TypeError):
        return True
    return any(
        a is not None and not np.allclose(a, b, rtol=1e-6, atol=1e-12 * abs(a).max(initial=0), equal_nan=True)
        for name, a in right.items()
        if (b := again.get(name)) is not None
    )


def _other(x: Any) -> Any:
    """Other numbers of the same kind and sign, so that no domain is left."""
    return x * 0.75 if isinstance(x, mx.array) and is_floating(x) else x


def _layer_calls(check: Experiment) -> Iterator[tuple[str, Module, tuple[Any, ...]]]:
    """(path, layer, inputs) of each layer inside the module, and of the loss."""
    yield from layer_calls(check.module, check.inputs, check.seed)
    if check.loss is not None:
        yield "loss", check.loss, (check.module(*check.inputs), check.target)


def diagnose(check: Experiment, row: Row) -> str:
    """What the pattern of a failed row suggests, in words."""
    for pattern in PATTERNS:
        words = pattern(check, row)
        if words:
            return words
    a, b = row.by_hand, row.numeric
    wrong = abs(a - b) > 1e-4 * (abs(a) + abs(b))
    few = f"{int(wrong.sum())} of {wrong.size} elements are wrong"
    ratio = float(np.linalg.norm(a)) / max(float(np.linalg.norm(b)), 1e-300)
    return f"{NO_PATTERN}: {few}, |backward| / |differences| is {ratio:.3g}"
