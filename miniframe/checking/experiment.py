"""What a gradient check compares: a module's backward beside finite differences, for every parameter and input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import mlx.core as mx
import numpy as np

from ..backend.fast_blas import one_thread
from ..core import random
from ..core.arrays import as_tuple, is_floating
from ..core.cells import put_values, values_of
from ..core.module import Module
from ..core.tape import no_grad
from ..losses.base import Loss
from .complaints import UnfitGradient, name_the_layer, unfit, wrong_shape
from .differences import STEP, changes, slopes
from .doubles import double
from .report import Report, Row
from .rounding import DOUBLE, SINGLE, computes_in_float32, layer_calls
from .settle import Measured, settle, typical_size
from .verdict import judge

SMALL = 2**20  # bytes of a forward pass up to which its products are not worth several threads
Gradients = dict[str, np.ndarray | None]


def random_upstream(seed: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The upstream gradients of a check: normal numbers, but not those of inputs drawn from the same seed."""
    rng = np.random.default_rng([seed, 1])
    return [rng.normal(size=shape) for shape in shapes]


class Experiment:
    """The function to differentiate, its gradient by hand, and its gradient by differences.

    Args:
        module, inputs, loss, target, seed, tolerance: those of ``check_gradients``; everything is in double precision.
    """

    def __init__(
        self,
        module: Module,
        inputs: tuple[Any, ...],
        loss: Loss | None = None,
        target: Any = None,
        seed: int = 0,
        tolerance: float = 1e-6,
    ) -> None:
        if not inputs:
            raise ValueError(f"check_gradients({module.title()}): expected at least one input array")
        self.module, self.loss = module, loss
        self.target = None if loss is None else double(target)
        self.seed, self.tolerance = seed, tolerance
        self.evaluations = 0  # how many perturbed losses there were
        self.inputs = [double(x) for x in inputs]
        self.buffers = list(module.buffers())
        self.buffer_values = values_of(self.buffers)
        before = [np.array(x) for x in self.inputs]
        self.outputs = self.forward()
        changed = any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(before, map(np.array, self.inputs)))
        if changed:
            raise ValueError(
                f"check_gradients({module.title()}): forward changes its input in place; "
                "a += b on arrays changes the array that others hold, write a = a + b"
            )
        self.changed: set[str] = set()  # parameters whose values a backward has changed
        self.upstream = [mx.array(y, dtype=mx.float64) for y in random_upstream(seed, [y.shape for y in self.outputs])]

    # ---------------------------------------------------------------- the function and its gradient by hand

    def forward(self) -> list[mx.array]:
        """The function's outputs, the same at every call: random masks and buffers start from the same state."""
        random.seed(self.seed)
        numbers = any(isinstance(x, (int, float)) for x in self.inputs)  # as in x ** 2: they stay numbers
        output = (self.module.forward if numbers else self.module)(*self.inputs)
        if self.loss is not None:
            output = self.loss(output, self.target)
        put_values(self.buffers, self.buffer_values)
        outputs = list(as_tuple(output))
        if not all(isinstance(y, mx.array) for y in outputs):
            raise TypeError(f"check_gradients({self.module.title()}): expected output arrays, got {type(output)}")
        return outputs

    def gradients(self, upstream: list[mx.array] | None = None) -> Gradients:
        """The gradients by hand, by name, after a forward."""
        self.module.zero_grad()
        self.forward()
        return self.backward(self.upstream if upstream is None else upstream)

    def backward(self, upstream: list[mx.array]) -> Gradients:
        """Send an upstream gradient back through the last forward; parameters accumulate."""
        copies = [grad * 1 for grad in upstream]
        cells = list(self.module.named_parameters())
        values = [np.array(cell.value) for _, cell in cells]
        try:
            if self.loss is not None:
                grads = self.module.backward(self.loss.gradient() * copies[0])
            elif isinstance(self.module, Loss):
                grads = self.module.gradient() * copies[0]
            else:
                grads = self.module.backward(copies[0] if len(copies) == 1 else tuple(copies))
            problem = unfit(grads, self.inputs[:1] if isinstance(self.module, Loss) else self.inputs, self.input_name)
            if problem:
                raise UnfitGradient(problem)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            self.blame_a_layer()
            kind = TypeError if isinstance(error, AttributeError) else type(error)
            words = str(error) if isinstance(error, UnfitGradient) else name_the_layer(self.module, error)
            raise kind(f"check_gradients({self.module.title()}): {words}") from error
        if not all(mx.array_equal(a, b, equal_nan=True) for a, b in zip(copies, upstream)):
            raise ValueError(
                f"check_gradients({self.module.title()}): backward changes the upstream gradient in place; "
                "others may need it too, write g = g * 2 instead of g *= 2"
            )
        for (name, cell), value in zip(cells, values):
            if not np.array_equal(np.array(cell.value), value, equal_nan=True):
                self.changed.add(name)
                cell.value = mx.array(value)
        found: Gradients = {name: _numpy(p.grad) for name, p in self.module.named_parameters()}
        for index, grad in enumerate(as_tuple(grads)):
            found[self.input_name(index)] = _numpy(grad)
        return found

    def blame_a_layer(self) -> None:
        """Raise the error of an inner layer whose backward, run alone, returns what cannot be a gradient."""
        for path, layer, inputs in layer_calls(self.module, self.inputs, self.seed):
            alone = Experiment(layer, inputs, seed=self.seed)
            try:
                alone.gradients()
            except UnfitGradient as error:
                words = str(error).split(": ", 1)[1]
                raise UnfitGradient(
                    f"check_gradients({self.module.title()}): layer {path}, {layer.title()}: {words}"
                ) from error
            except (ValueError, TypeError, AttributeError, IndexError):
                continue

    def input_name(self, index: int) -> str:
        return "input" if len(self.inputs) == 1 or isinstance(self.module, Loss) else f"input {index}"

    # ---------------------------------------------------------------- the comparison

    def report(self) -> Report:
        by_hand = self.gradients()
        report = Report(self.module.title())
        for name, value, put in self.targets():
            report.rows.append(self.row(name, value, put, by_hand.get(name)))
        self.look_for_side_effects(report, by_hand)
        if "rounding" in vars(self) and self.rounding == SINGLE:
            places = ", ".join(self.in_float32) or self.module.title()
            report.remark = f"computes in float32: {places}; differences see seven digits there, and are judged by that"
        return report

    def targets(self) -> Iterator[tuple[str, mx.array, Callable[[mx.array], None]]]:
        """(name, value, function that puts another value in its place) for all that is differentiated."""
        for name, parameter in self.module.named_parameters():
            if parameter.trainable:
                yield name, parameter.value, lambda value, cell=parameter: setattr(cell, "value", value)  # type: ignore[misc]
        for index, x in enumerate(self.inputs[:1] if isinstance(self.module, Loss) else self.inputs):
            if isinstance(x, mx.array) and is_floating(x):
                yield self.input_name(index), x, lambda value, i=index: self.inputs.__setitem__(i, value)  # type: ignore[misc]

    def slopes(
        self, value: mx.array, put: Callable[[mx.array], None], step: float = STEP
    ) -> tuple[np.ndarray, np.ndarray]:
        """The slopes to the right and to the left of every element, weighted by the upstream gradient."""

        self.evaluations += 2 * value.size
        with self.differentiating():
            return slopes(self.change(value, put), value, self.bytes_of_a_forward, step)

    def change(self, value: mx.array, put: Callable[[mx.array], None], sizes: bool = False) -> Any:
        """The function from a perturbed value to what it changes; ``sizes``: and how large that was, and is."""

        def change(perturbed: mx.array) -> mx.array:
            put(perturbed)
            try:
                moved = self.forward()
            finally:
                put(value)
            parts = [((y - base) * u).sum() for y, base, u in zip(moved, self.outputs, self.upstream)]
            if not sizes:
                return sum(parts[1:], parts[0])
            still, now = [], []
            for y, base, u in zip(moved, self.outputs, self.upstream):
                weight = mx.where(y == base, 0.0, abs(u))
                still.append((abs(base) * weight).sum())
                now.append((abs(y) * weight).sum())
            return mx.stack([sum(part[1:], part[0]) for part in (parts, still, now)])

        return change

    @contextmanager
    def differentiating(self) -> Iterator[None]:
        """Nothing is recorded, and small products get no threads."""
        with no_grad(), one_thread() if self.bytes_of_a_forward < SMALL else nullcontext():
            yield

    def measure(self, value: mx.array, put: Callable[[mx.array], None], a: np.ndarray) -> Measured:
        """The derivative along every element by one step, and by many where that disagrees with backward's ``a``."""
        scale, n = typical_size(value), value.size
        right, left = (side.ravel() for side in self.slopes(value, put, STEP * scale))
        zeros = np.zeros(n)
        found = Measured((right + left) / 2, right, left, zeros, np.zeros(n, dtype=bool), zeros.copy())
        if not found.agrees(a.ravel(), self.tolerance).all():
            function = self.change(value, put, sizes=True)
            rounding = self.rounding

            def again(places: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                self.evaluations += 2 * len(places)
                return changes(function, value, self.bytes_of_a_forward, places, h)

            with self.differentiating():
                settle(
                    again,
                    np.array(value).ravel(),
                    scale,
                    rounding,
                    self.size,
                    a.ravel(),
                    found,
                    self.tolerance,
                )
        return found

    @cached_property
    def size(self) -> float:
        """How large the function's terms are: the sum of the outputs times the upstream gradient, all positive."""
        terms = [float(abs(np.array(y * u, dtype=np.float64)).sum()) for y, u in zip(self.outputs, self.upstream)]
        return sum(terms) if np.isfinite(sum(terms)) else 0.0

    @cached_property
    def in_float32(self) -> list[str]:
        """The layers that compute in single precision, whatever they are given."""
        layers = [
            f"layer {path}, {layer.title()}"
            for path, layer, inputs in layer_calls(self.module, self.inputs, self.seed)
            if computes_in_float32(layer, inputs, self.seed)
        ]
        alone = not layers and computes_in_float32(self.module, self.inputs, self.seed)
        return [self.module.title()] if alone else layers

    @cached_property
    def rounding(self) -> float:
        """The relative error of the arithmetic in which the function computes."""
        return SINGLE if self.in_float32 else DOUBLE

    @cached_property
    def bytes_of_a_forward(self) -> int:
        """What one forward needs at most, as MLX's allocator saw it."""
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(self.forward())
        return max(mx.get_peak_memory() - before, 0)

    def row(self, name: str, value: mx.array, put: Callable[[mx.array], None], grad: np.ndarray | None) -> Row:
        if grad is not None and grad.shape != value.shape:
            raise UnfitGradient(f"check_gradients({self.module.title()}): {wrong_shape(name, value.shape, grad.shape)}")
        a = np.zeros(value.shape) if grad is None else grad
        before = self.evaluations
        measured = self.measure(value, put, a)
        row = judge(name, np.array(value, dtype=np.float64), a, measured, self.tolerance, self.size)
        row.missing, row.evaluations = grad is None, self.evaluations - before
        return row

    def look_for_side_effects(self, report: Report, first: Gradients) -> None:
        """A second backward on what forward saved must give the same again, added to the parameters' gradients."""
        if isinstance(self.module, Loss):
            return
        second = self.gradients()
        second = self.backward(self.upstream)
        for row in report.rows:
            a, again = first.get(row.name), second.get(row.name)
            if a is None or again is None or not row.error <= row.tolerance:
                continue
            scale = np.linalg.norm(a)
            if not row.is_input and np.linalg.norm(again - a) < 1e-6 * scale:
                row.trouble = "backward overwrites the gradient instead of adding to it: use accumulate"
            elif np.linalg.norm(again - (a if row.is_input else 2 * a)) > 1e-6 * scale:
                row.trouble = "a second backward gives another gradient: backward changes what forward saved"
            row.diagnosis = row.trouble
        for row in report.rows:
            if row.name in self.changed:
                row.trouble = row.diagnosis = (
                    "backward changes the value of this parameter; only optimizers do, backward adds to grad"
                )


def _numpy(grad: Any) -> np.ndarray | None:
    return None if grad is None else np.array(grad, dtype=np.float64)
