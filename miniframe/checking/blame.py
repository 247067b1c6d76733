"""Which layer is wrong, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import random
from ..core.module import Module
from ..graph.passes import Pass
from ..losses.base import Loss
from .experiment import Experiment
from .patterns import PATTERNS
from .report import Report, Row

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
    """(path, layer, inputs) of each layer's first call inside the module; none for a module that is a layer itself."""
    module = check.module
    if isinstance(module, Loss):
        return
    if module.flattens or module.composes():
        random.seed(check.seed)
        seen, known = Pass(module, tuple(check.inputs), "check_gradients"), set()
        for name, node in seen.layers():
            if id(node.module) not in known:
                known.add(id(node.module))
                yield name, node.module, tuple(source.value for source in node.inputs)  # type: ignore[misc]
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
