"""Which layer is wrong, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import random
from ..graph import Variable
from ..losses import Loss
from ..module import Module
from ..walk import ancestors
from .check import Check
from .patterns import PATTERNS
from .report import Report, Row

NO_PATTERN = "no known pattern"


def explain(check: Check, report: Report) -> None:
    """Complete a failed report: the layers that are wrong by themselves, and a diagnosis for each failed row."""
    report.culprits = list(_culprits(check))
    if report.culprits:
        return
    for row in report.rows:
        if not row.passed and not row.diagnosis:
            row.diagnosis = diagnose(check, row)
    if check.loss is not None or any(True for _ in _layer_calls(check)):
        report.remark = "every layer is right by itself: the mistake is in the backward that connects them"


def _culprits(check: Check) -> Iterator[tuple[str, Report]]:
    """(path, report) for every layer, and the loss, that fails a check of its own, on the inputs that it received."""
    for path, module, inputs in _layer_calls(check):
        inner = Check(module, inputs, seed=check.seed, tolerance=check.tolerance)
        report = inner.report()
        if not report.passed:
            for row in report.rows:
                if not row.passed and not row.diagnosis:
                    row.diagnosis = diagnose(inner, row)
            yield path, report


def _layer_calls(check: Check) -> Iterator[tuple[str, Module, tuple[Any, ...]]]:
    """(path, layer, inputs) of each layer's first call inside the module; none for a module that is a layer itself."""
    module = check.module
    if isinstance(module, Loss):
        return
    if module.flattens or module.composes():
        random.seed(check.seed)
        output = module(*[Variable(x) for x in check.inputs])
        outputs = list(output) if isinstance(output, tuple) else [output]
        paths = {id(inner): path for path, inner in module.named_modules()}
        seen: set[int] = set()
        for node in ancestors(outputs):
            several = any(isinstance(source.value, tuple) for source in node.inputs)  # one part of several outputs
            if node.module is not None and id(node.module) not in seen and not several:
                seen.add(id(node.module))
                path = paths.get(id(node.module)) or type(node.module).__name__
                yield path, node.module, tuple(source.value for source in node.inputs)
    if check.loss is not None:
        yield "loss", check.loss, (check.module(*check.inputs), check.target)


def diagnose(check: Check, row: Row) -> str:
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
