"""check_gradients: the proof that a backward is right, or the layer and the mistake that make it wrong."""

from __future__ import annotations

from typing import Any

from ..core.checks import shown
from ..core.module import Module
from ..losses import get as get_loss
from ..losses.base import Loss
from .blame import explain
from .corners import look_beside
from .doubles import in_double_precision
from .experiment import Experiment
from .report import Report


def check_gradients(
    module: Module,
    *inputs: Any,
    loss: Loss | str | None = None,
    target: Any = None,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> Report:
    """Compare a module's backward with central differences, for every parameter and input.

    The output is weighted by random numbers, the upstream gradient of the check, so that no element can hide behind
    another. Everything runs in float64 on the CPU, whatever the default device; the module and the loss are as before
    afterwards. Elements at a corner, such as ReLU's at 0, have no derivative; where the slopes on both sides stay
    apart however short the step, and backward's lies between them, they are counted as kinks, not as failures. Where
    one number meets several corners at once, as a pixel of a plain area does in MaxPool2d, it is compared a little
    beside, and every layer alone at its own corners (``checking/corners.py``). A parameter or input of which nothing
    could be compared fails.

    Where a first step disagrees with backward, steps from an eighth of the number down to its last digits decide
    (``checking/settle.py``), so inputs may be tiny, huge, or next to a pole.

    All perturbed values go through the one model in vectorized calls of a few hundred or thousand, within
    ``differences.VALUE_BYTES`` (3 MiB) for the values and ``differences.ACTIVATION_BYTES`` (128 MiB) for what the
    forward passes need. When something is wrong, the report says which layer and parameter, and what the pattern of
    the mismatch suggests.

    Args:
        module: a layer, a loss (with prediction and target as inputs) or a whole model, in the mode to be tested.
        inputs: arrays; integers are passed on but not differentiated. NumPy float64 keeps its precision.
        loss, target: check the gradient of ``loss(module(*inputs), target)`` instead; a Loss or its name.
        seed: of the upstream gradient and of the masks of layers such as Dropout.
        tolerance: the largest error ‖a - b‖ / (‖a‖ + ‖b‖) that passes.

    Returns:
        A report with ``passed``, ``max_error``, ``rows``, ``culprits`` and ``diagnosis``.

    Raises:
        ValueError: where backward fails or gives a gradient of the wrong shape; it names layer and parameter.

    >>> import numpy as np
    >>> from miniframe import Linear
    >>> check_gradients(Linear(2, 3), np.random.default_rng(0).normal(size=(5, 2))).passed
    True
    """
    if not isinstance(module, Module):
        raise TypeError(f"check_gradients: expected a layer, a loss or a model, got {shown(module)}")
    if (loss is None) != (target is None):
        raise ValueError("check_gradients: expected a loss and a target, or neither")
    given = None if loss is None else get_loss(loss)
    with in_double_precision(module, *([] if given is None else [given])):
        check = Experiment(module, inputs, given, target, seed, tolerance)
        report = check.report()
        look_beside(check, report)
        if not report.passed:
            explain(check, report)
        return report
