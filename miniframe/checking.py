"""Proof that a backward is right: compare it with central differences in double precision.

The derivative of f along one coordinate is (f(w + h) - f(w - h)) / 2h, up to an error of order h². It needs no
calculus, only forward passes, so it cannot share a mistake with the backward that it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import numpy as np

from . import random
from .arrays import is_floating
from .graph import no_grad
from .losses import Loss
from .module import EMPTY, Buffer, Module
from .precise import precise

STEP = 1e-6  # h: small for the error h², large against the rounding 1e-16 / h
FLOOR = 1e-4  # gradients smaller than this are judged by their absolute error
CHUNK_BYTES = 128 * 2**20  # memory that one batch of perturbed values and their outputs may take


@dataclass
class Row:
    """The verdict on one parameter or input.

    Attributes:
        name: the parameter's path, or "input" ("input 0", ...).
        shape: of the value and its gradient.
        error: ‖a - b‖ / (‖a‖ + ‖b‖) between backward's gradient a and the differences b.
        by_hand, numeric: the two gradients, as float64 NumPy arrays.
        kinks: the number of elements left out because a corner of the function lies within h.
        tolerance: the largest error that passes.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    by_hand: np.ndarray
    numeric: np.ndarray
    kinks: int
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    @property
    def worst(self) -> tuple[int, ...]:
        """The index of the element with the largest difference."""
        return tuple(int(i) for i in np.unravel_index(np.argmax(abs(self.by_hand - self.numeric)), self.shape))


@dataclass
class Report:
    """The result of :func:`check_gradients`: one row for each parameter and input; prints as a table."""

    title: str
    rows: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    @property
    def max_error(self) -> float:
        return max((row.error for row in self.rows), default=0.0)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row {name!r}; the report has {', '.join(row.name for row in self.rows)}")

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"check_gradients({self.title}): {verdict}, largest error {self.max_error:.1e}"]
        width = max((len(row.name) for row in self.rows), default=0)
        for row in self.rows:
            kinks = f", {row.kinks} at a kink left out" if row.kinks else ""
            lines.append(f"  {'ok ' if row.passed else 'BAD'} {row.name:<{width}}  {row.error:.1e}  {row.shape}{kinks}")
            if not row.passed:
                at = row.worst
                lines.append(
                    f"      worst at {at}: backward says {row.by_hand[at]:.6g}, the differences {row.numeric[at]:.6g}"
                )
        return "\n".join(lines)


def check_gradients(
    module: Module,
    *inputs: Any,
    loss: Loss | None = None,
    target: Any = None,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> Report:
    """Compare a module's backward with central differences, for every parameter and input.

    The output is weighted by random numbers, the upstream gradient of the check, so that no element can hide behind
    another. Everything runs in float64 on the CPU, whatever the default device; the module's values, gradients and
    mode are as before afterwards. Elements next to a corner, such as ReLU's at 0, have no derivative; where the
    slopes on both sides differ and backward's lies between them they are counted as kinks, not as failures.

    Args:
        module: a layer, a loss (with prediction and target as inputs) or a whole model, in the mode to be tested.
        inputs: arrays; integers are passed on but not differentiated. NumPy float64 keeps its precision.
        loss, target: check the gradient of ``loss(module(*inputs), target)`` instead.
        seed: of the upstream gradient and of the masks of layers such as Dropout.
        tolerance: the largest error ‖a - b‖ / (‖a‖ + ‖b‖) that passes.

    Returns:
        A report with ``passed``, ``max_error`` and ``rows``.

    >>> from miniframe import Linear
    >>> check_gradients(Linear(2, 3), np.random.default_rng(0).normal(size=(5, 2))).passed
    True
    """
    with mx.stream(mx.cpu), precise(), _in_double_precision(module):
        return _Check(module, inputs, loss, target, seed, tolerance).report()


@contextmanager
def _in_double_precision(module: Module) -> Iterator[None]:
    """Cast every cell to float64; afterwards put back values, gradients and the random state."""
    cells = [item for _, item in module._walk() if isinstance(item, Buffer)]
    before = [(cell, cell._value, getattr(cell, "grad", None)) for cell in cells]
    state = random.get_state()
    try:
        for cell in cells:
            if is_floating(cell._value):
                cell._value = cell._value.astype(mx.float64)
        yield
    finally:
        for cell, value, grad in before:
            cell._value = value
            if hasattr(cell, "grad"):
                cell.grad = grad
        for inner in module.modules():
            inner._saved = EMPTY
        random.set_state(state)


class _Check:
    """One check: the function to differentiate, its gradient by hand, and its gradient by differences."""

    def __init__(
        self, module: Module, inputs: tuple[Any, ...], loss: Loss | None, target: Any, seed: int, tolerance: float
    ) -> None:
        if not inputs:
            raise ValueError(f"check_gradients({module.title()}): expected at least one input array")
        self.module, self.loss, self.target = module, loss, target
        self.seed, self.tolerance = seed, tolerance
        self.inputs = [_double(x) for x in inputs]
        self.buffers = [(buffer, buffer._value) for buffer in module.buffers()]

    def forward(self) -> mx.array:
        """The function's output, the same at every call: random masks and buffers start from the same state."""
        random.seed(self.seed)
        output = self.module(*self.inputs)
        if self.loss is not None:
            output = self.loss(output, _double(self.target))
        for buffer, value in self.buffers:
            buffer._value = value
        return output

    def report(self) -> Report:
        output = self.forward()
        if not isinstance(output, mx.array):
            raise TypeError(f"check_gradients({self.module.title()}): expected one output array, got {type(output)}")
        self.upstream = mx.array(np.random.default_rng(self.seed).normal(size=output.shape), dtype=mx.float64)
        self.base = output
        by_hand = self.backward()
        report = Report(self.module.title())
        for name, value, put in self.targets():
            report.rows.append(self.row(name, value, put, by_hand[name]))
        return report

    def backward(self) -> dict[str, mx.array | None]:
        """The gradients by hand, by name."""
        self.module.zero_grad()
        if self.loss is not None:
            grads = self.module.backward(self.loss.gradient() * self.upstream)
        elif isinstance(self.module, Loss):
            grads = self.module.gradient() * self.upstream
        else:
            grads = self.module.backward(self.upstream)
        found: dict[str, mx.array | None] = {name: p.grad for name, p in self.module.named_parameters()}
        for index, grad in enumerate(grads if isinstance(grads, tuple) else (grads,)):
            found[self.input_name(index)] = grad
        return found

    def input_name(self, index: int) -> str:
        return "input" if len(self.inputs) == 1 or isinstance(self.module, Loss) else f"input {index}"

    def targets(self) -> Iterator[tuple[str, mx.array, Callable[[mx.array], None]]]:
        """(name, value, function that puts another value in its place) for all that is differentiated."""
        for name, parameter in self.module.named_parameters():
            if parameter.trainable:
                yield name, parameter._value, lambda value, cell=parameter: setattr(cell, "_value", value)  # type: ignore[misc]
        for index, x in enumerate(self.inputs[:1] if isinstance(self.module, Loss) else self.inputs):
            if is_floating(x):
                yield self.input_name(index), x, lambda value, i=index: self.inputs.__setitem__(i, value)  # type: ignore[misc]

    def row(self, name: str, value: mx.array, put: Callable[[mx.array], None], grad: mx.array | None) -> Row:
        if grad is not None and grad.shape != value.shape:
            raise ValueError(
                f"check_gradients({self.module.title()}): expected a gradient of shape {value.shape} for {name}, "
                f"got {grad.shape}"
            )
        a = np.zeros(value.shape) if grad is None else np.array(grad, dtype=np.float64)
        right, left = self.slopes(value, put)
        b = (right + left) / 2
        kink = (abs(a - b) > self.tolerance * (abs(a) + abs(b))) & _between(a, right, left)
        smooth = ~kink
        error = np.linalg.norm((a - b)[smooth]) / max(np.linalg.norm(a[smooth]) + np.linalg.norm(b[smooth]), FLOOR)
        return Row(name, value.shape, float(error), a, b, int(kink.sum()), self.tolerance)

    def slopes(self, value: mx.array, put: Callable[[mx.array], None]) -> tuple[np.ndarray, np.ndarray]:
        """The slopes (f(w + h) - f(w)) / h and (f(w) - f(w - h)) / h for every element w of ``value``."""

        def change(perturbed: mx.array) -> mx.array:
            put(perturbed)
            try:
                return ((self.forward() - self.base) * self.upstream).sum()
            finally:
                put(value)

        flat = np.array(value, dtype=np.float64).reshape(-1)
        right, left = np.zeros(flat.size), np.zeros(flat.size)
        per_element = 8 * (flat.size + 4 * self.base.size)
        chunk = max(1, min(flat.size, CHUNK_BYTES // per_element))
        with no_grad():
            for start in range(0, flat.size, chunk):
                chosen = np.arange(start, min(start + chunk, flat.size))
                for sign, slope in ((1, right), (-1, left)):
                    moved = np.tile(flat, (len(chosen), 1))
                    moved[np.arange(len(chosen)), chosen] += sign * STEP
                    h = moved[np.arange(len(chosen)), chosen] - flat[chosen]  # what rounding made of the step
                    batch = mx.array(moved.reshape(len(chosen), *value.shape), dtype=mx.float64)
                    slope[chosen] = _all_at_once(change, batch) / h
        return right.reshape(value.shape), left.reshape(value.shape)


def _all_at_once(function: Callable[[mx.array], mx.array], batch: mx.array) -> np.ndarray:
    """The function of every item: in one vectorized call, or one by one where MLX cannot vectorize an operation."""
    try:
        return np.array(mx.vmap(function)(batch))
    except ValueError:
        return np.array([function(item).item() for item in batch])


def _between(a: np.ndarray, right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Where the slopes on both sides differ clearly and ``a`` lies between them."""
    low, high = np.minimum(right, left), np.maximum(right, left)
    margin = 1e-6 * (abs(low) + abs(high))
    differ = high - low > 1e-3 * (abs(low) + abs(high)) + 1e-5
    return differ & (a >= low - margin) & (a <= high + margin)


def _double(x: Any) -> mx.array:
    """As float64, from NumPy without a detour through float32; integers stay integers."""
    array = np.array(x) if not hasattr(x, "detach") else x.detach().numpy()
    if array.dtype.kind == "f":
        return mx.array(array.astype(np.float64), dtype=mx.float64)
    return mx.array(array.astype(np.int32) if array.dtype.kind in "iu" else array)
