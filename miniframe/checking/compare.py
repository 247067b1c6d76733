"""One gradient, several witnesses: by hand, by finite differences, by MLX's and by PyTorch's differentiation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_tuple
from ..core.module import Module
from ..core.tables import table
from ..core.tape import no_grad
from ..losses import get as get_loss
from ..losses.base import Loss
from . import torch_witness
from .doubles import in_double_precision
from .experiment import Experiment
from .report import relative_error

BY_HAND, DIFFERENCES, MX_GRAD, PYTORCH = "by hand", "differences", "mx.grad", "PyTorch"
WITNESSES = (BY_HAND, DIFFERENCES, MX_GRAD, PYTORCH)


@dataclass
class Comparison:
    """What :func:`compare_gradients` found; prints as a table.

    Attributes:
        gradients: for each parameter, and "input", a dict from witness to gradient, a float64 NumPy array.
        layers: the title of the layer that each parameter belongs to.
        absent: witnesses that could not be heard, and why.
    """

    gradients: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def error(self, name: str, witness: str) -> float | None:
        """‖a - b‖ / (‖a‖ + ‖b‖) between the gradient by hand and a witness's; None without the witness."""
        if witness not in self.gradients[name]:
            return None
        return relative_error(self.gradients[name][BY_HAND], self.gradients[name][witness])

    @property
    def max_error(self) -> float:
        """The largest disagreement with the gradient by hand."""
        return max((self.error(name, w) or 0.0 for name in self.gradients for w in WITNESSES), default=0.0)

    def __repr__(self) -> str:
        head: tuple[str, ...] = ("parameter", "layer", "shape", f"{BY_HAND}, norm", *WITNESSES[1:])
        rows = [head]
        for name, found in self.gradients.items():
            errors = [self.error(name, witness) for witness in WITNESSES[1:]]
            words = ["-" if error is None else f"{error:.0e}" for error in errors]
            shape, norm = str(found[BY_HAND].shape), f"{np.linalg.norm(found[BY_HAND]):.6g}"
            rows.append((name, self.layers.get(name, ""), shape, norm, *words))
        first, *lines = table(rows)
        lines = [first, "-" * len(first), *lines]
        return "\n".join([*lines, *(f"{witness}: {why}" for witness, why in self.absent.items())])


def compare_gradients(model: Module, loss: Loss | str, x: Any, y: Any, seed: int = 0) -> Comparison:
    """The gradient of a loss by hand, by finite differences, by ``mx.grad`` and by PyTorch, parameter by parameter.

    All in float64 on the CPU, so that agreement shows to many digits. PyTorch takes part where it is installed and
    knows every layer of the model.

    Args:
        model: in the mode that is meant; left as it was.
        loss: a Loss or its name.
        x: a batch of inputs, or a tuple of arrays.
        y: the targets.
        seed: of the masks of layers such as Dropout, which PyTorch cannot reproduce.

    Returns:
        A Comparison, which prints as a table: the gradient's norm, and each witness's relative difference from it.

    >>> from miniframe import Linear, MSELoss
    >>> found = compare_gradients(Linear(2, 3), MSELoss(), np.ones((5, 2)), np.zeros((5, 3)))
    >>> list(found.gradients), found.max_error < 1e-6
    (['weight', 'bias', 'input'], True)
    """
    loss = get_loss(loss)
    comparison = Comparison()
    for path, module in model.named_modules():
        for name, _ in module.named_parameters():
            comparison.layers[f"{path}.{name}" if path else name] = module.title()
    with in_double_precision(model, loss):
        check = Experiment(model, as_tuple(x), loss, y, seed)
        check.upstream = [mx.array(np.ones(()), dtype=mx.float64)]
        targets = {name: (value, put) for name, value, put in check.targets()}
        by_hand = check.gradients()
        for name, (value, put) in targets.items():
            grad = by_hand.get(name)
            measured = check.measure(value, put, np.zeros(value.shape) if grad is None else grad)
            comparison.gradients[name] = {
                BY_HAND: np.zeros(value.shape) if grad is None else grad,
                DIFFERENCES: measured.numeric.reshape(value.shape),
            }
        _ask(comparison, MX_GRAD, lambda: _by_mx_grad(check, targets))
        _ask(comparison, PYTORCH, lambda: torch_witness.gradients(check))
    return comparison


def _ask(comparison: Comparison, witness: str, ask: Any) -> None:
    try:
        found = ask()
    except (ImportError, LookupError, ValueError, RuntimeError) as error:
        comparison.absent[witness] = str(error).strip().splitlines()[0] if str(error) else repr(error)
        return
    for name, gradients in comparison.gradients.items():
        if name in found:
            gradients[witness] = found[name]


def _by_mx_grad(check: Experiment, targets: dict[str, Any]) -> dict[str, np.ndarray]:
    """MLX's own reverse-mode differentiation of the same forward."""
    names, values = list(targets), [value for value, _ in targets.values()]

    def value_of_loss(moved: list[mx.array]) -> mx.array:
        for (_, put), value in zip(targets.values(), moved):
            put(value)
        return check.forward()[0]

    try:
        with no_grad():
            grads = mx.grad(value_of_loss)(values)
    finally:
        for value, put in targets.values():
            put(value)
    return {name: np.array(grad) for name, grad in zip(names, grads)}
