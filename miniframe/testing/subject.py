"""The layer that is checked, its inputs, and how a check calls it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ..core import random
from ..core.arrays import as_array, as_tuple, is_floating
from ..core.module import Module

CLOSE = 1e-5  # relative, in single precision


class Subject:
    """A layer with example inputs. Every call makes a copy, so that checks do not see each other.

    Args:
        layer: in the mode that users train it in.
        inputs: arrays with samples in front.
        torch: a function of PyTorch tensors that computes the same, or a module with the same weights; or None.
        weights: for a module, our parameter's name to theirs, where they differ.
        tolerance: the largest relative error of a gradient in float64.
        seed: of upstream gradients and masks.
    """

    def __init__(
        self, layer: Module, inputs: tuple[Any, ...], torch: Any, weights: dict[str, str], tolerance: float, seed: int
    ) -> None:
        self.layer, self.inputs, self.torch, self.weights = layer, inputs, torch, weights
        self.tolerance, self.seed = tolerance, seed

    def copy(self, training: bool = True) -> Any:
        """A layer like it, in this mode, without gradients."""
        try:
            layer = copy.deepcopy(self.layer)
        except Exception as error:
            raise AssertionError(f"copy.deepcopy(layer) fails: {type(error).__name__}: {error}") from error
        layer.zero_grad()
        return layer.train(training)

    def arrays(self, select: Callable[[mx.array], mx.array] = lambda x: x) -> list[mx.array]:
        """The inputs in single precision; ``select`` makes something else of each."""
        return [select(as_array(x, where="check_layer")) for x in self.inputs]

    def precise(self, rows: slice | None = None) -> list[Any]:
        """The inputs as they were given, or some of their samples; NumPy's float64 keeps its precision."""
        return [np.array(x)[rows] if rows is not None else x for x in self.inputs]

    def upstream(self, output: mx.array, place: int = 0) -> mx.array:
        """A random gradient of the output."""
        rng = np.random.default_rng([self.seed, place])
        return mx.array(rng.normal(size=output.shape).astype(np.float32)).astype(output.dtype)

    def forward(self, layer: Any, inputs: list[mx.array]) -> Any:
        """The output, with the same random numbers every time."""
        random.seed(self.seed)
        return layer(*inputs)

    def both(self, layer: Any, inputs: list[mx.array]) -> tuple[Any, tuple[Any, ...]]:
        """Forward, then backward of a random gradient; the output and the gradients of the inputs."""
        output = self.forward(layer, inputs)
        several = isinstance(output, tuple)
        grads = tuple(self.upstream(part, place) for place, part in enumerate(as_tuple(output)))
        return output, as_tuple(layer.backward(grads if several else grads[0]))

    @property
    def samples(self) -> int:
        """How many there are; 0 for a layer that is given no floating-point array with samples in front."""
        shapes = [x.shape for x in self.arrays()]
        return min((shape[0] for shape in shapes if shape), default=0)


def numbers(value: Any) -> list[np.ndarray]:
    """An output, or several, as NumPy arrays."""
    return [np.array(part.astype(mx.float32) if is_floating(part) else part) for part in as_tuple(value)]


def different(ours: Any, theirs: Any, tolerance: float) -> str:
    """How two outputs, gradients or lists of them differ, in words; empty if they do not."""
    for place, (one, other) in enumerate(zip(numbers(ours), numbers(theirs))):
        if one.shape != other.shape:
            return f"shapes {one.shape} and {other.shape}"
        if one.size and one.dtype.kind == "f":
            scale = max(float(np.abs(other[np.isfinite(other)]).max(initial=0)), 1e-3)
            with np.errstate(invalid="ignore"):
                error = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0, np.abs(one - other))
            if not np.nanmax(error) <= tolerance * scale or np.isnan(error).any():
                at = tuple(map(int, np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), one.shape)))
                which = f" {place}" if len(numbers(ours)) > 1 else ""
                return f"number{which} {at}: {one[at]:.6g} and {other[at]:.6g}"
        elif not np.array_equal(one, other):
            return "the numbers differ"
    return ""


def same(found: Any, expected: Any, words: str) -> None:
    """Raise an AssertionError with these words, and where the two differ, unless they are the same to rounding."""
    problem = different(found, expected, CLOSE)
    assert not problem, words + problem
