"""Which layer is wrong, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.module import Module
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
    return (
        f"{NO_PATTERN}: {few}, |backward| / |differences| is {np.linalg.norm(a) / max(np.linalg.norm(b), 1e-300):.3g}"
    )
