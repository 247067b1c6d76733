"""A computation of miniframe beside its twin in PyTorch: run both, compare every number.

How far two right results may be apart depends on the computation: PyTorch's own float32, compared with its float64, is
the measure. Where a value is so near to a corner (a ReLU at 0, two equal maxima) that rounding decides, nothing is
compared; a value exactly on the corner is, since the rule for it is part of what is promised.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from hypothesis import assume
from torch import nn

import miniframe as mf
from miniframe.checking.precise import precise
from miniframe.core.arrays import is_floating

Arrays = dict[str, np.ndarray]


def first(array: np.ndarray) -> np.ndarray:
    """Channels first, for images."""
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def last(array: np.ndarray) -> np.ndarray:
    """Channels last, for images."""
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


# -------------------------------------------------------------------- how near is near


def agree(ours: Mapping[str, Any], exact: Arrays, rounded: Arrays, double: bool) -> None:
    """Assert that all arrays are the same, as far as rounding lets them be.

    Args:
        ours: name to array.
        exact: the same from PyTorch in float64.
        rounded: the same from PyTorch in float32.
        double: whether ours were computed in float64.
    """
    assert set(ours) == set(exact), f"{sorted(set(ours) ^ set(exact))} are on one side only"
    largest = max(np.abs(value[np.isfinite(value)]).max(initial=0) for value in exact.values())  # of what was added up
    for name, expected in exact.items():
        actual = np.array(ours[name]).astype(np.float64)
        assert actual.shape == expected.shape, f"{name}: shapes {actual.shape} and {expected.shape}"
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=name)
        scale = np.abs(expected[finite]).max(initial=0)
        with np.errstate(invalid="ignore"):
            noise = np.nan_to_num(np.abs(rounded[name] - expected)[finite]).max(initial=0)
        fine, coarse = (1e-6, 1e-9, 1e-12), (30, 1e-5, 1e-6)
        allowed = 1e-14 + sum(np.multiply(fine if double else coarse, (noise, scale, largest)))
        error = np.abs(actual - expected)[finite].max(initial=0)
        assert error <= allowed, f"{name} differs by {error:.3g}, allowed {allowed:.3g}\n{actual}\nand\n{expected}"


class Corners:
    """How near any value came to a corner of the function, but for those that lay exactly on it."""

    def __init__(self) -> None:
        self.nearest = np.inf

    def see(self, distance: torch.Tensor, size: torch.Tensor | None = None) -> None:
        """Values have these distances from a corner, and this size."""
        distance = distance.detach().abs().double()
        distance = distance[torch.isfinite(distance) & (distance > 0)]
        if distance.numel():
            sizes = (distance if size is None else size).detach().abs().double()
            largest = sizes[torch.isfinite(sizes)].max().item()
            self.nearest = min(self.nearest, distance.min().item() / max(largest, 1e-30))

    def keep_away(self, double: bool) -> None:
        """Leave this example out if rounding may decide on which side of a corner a value falls."""
        assume(self.nearest > (1e-9 if double else 1e-4))

    def watch(self, module: nn.Module) -> None:
        """See what the layers of a module are given."""
        for layer in module.modules():
            if isinstance(layer, (nn.ReLU, nn.LeakyReLU, nn.ELU)):
                layer.register_forward_pre_hook(lambda _, x: self.see(x[0]))
            if isinstance(layer, nn.MaxPool2d):
                layer.register_forward_pre_hook(lambda layer, x: self.see(*_gaps(layer, x[0])))


def _gaps(pool: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Between the largest and the second largest value of every window."""
    rows, columns = _pair(pool.padding)
    x = nn.functional.pad(x.detach(), (columns, columns, rows, rows), value=-torch.inf)
    n, c = x.shape[:2]
    windows = nn.functional.unfold(x, _pair(pool.kernel_size), stride=_pair(pool.stride))
    windows = windows.reshape(n, c, -1, windows.shape[-1])
    if windows.shape[2] < 2:
        return torch.zeros(1), torch.ones(1)
    two = windows.topk(2, dim=2).values
    return two[:, :, 0] - two[:, :, 1], two


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


# -------------------------------------------------------------------- both sides


@contextmanager
def computing(double: bool, *modules: mf.Module) -> Iterator[Callable[[np.ndarray], mx.array]]:
    """On the CPU, with the modules' cells in float64 if asked; gives a function that makes arrays of that type."""
    dtype = mx.float64 if double else mx.float32
    with mx.stream(mx.cpu), precise() if double else nullcontext():
        for module in modules:
            for cell in (*module.parameters(), *module.buffers()):
                if is_floating(cell.value):
                    cell.value = cell.value.astype(dtype)
        yield lambda x: mx.array(x.astype(np.float64), dtype=dtype) if x.dtype.kind == "f" else mx.array(x)


VIEWS: dict[str, Callable[[mx.array], mx.array]] = {
    "plain": lambda x: x,
    "transposed": lambda x: mx.contiguous(x.T).T,
    "backwards": lambda x: mx.contiguous(x[::-1])[::-1],
    "every other one": lambda x: mx.repeat(x, 2, axis=-1)[..., ::2],
    "part of a batch": lambda x: mx.concatenate([x[:1], x])[1:],
}


def random_weights(module: nn.Module, seed: int) -> None:
    """Random numbers for every weight and running statistic, exact in float32, so that nothing is 0 or 1 by chance."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, cell in (*module.named_parameters(), *module.named_buffers()):
            if cell.is_floating_point():
                low, high = (0.5, 2.0) if name.endswith("running_var") else (-1.0, 1.0)
                cell.copy_(torch.tensor(rng.uniform(low, high, tuple(cell.shape))))


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random numbers that float32 holds exactly."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def by_torch(module: nn.Module, x: np.ndarray, upstream: np.ndarray | None, dtype: Any, corners: Corners) -> Arrays:
    """Output, gradients and running statistics; x and what comes out have channels last, weights are PyTorch's.

    Args:
        upstream: the gradient of the output; random numbers if None.
    """
    module = copy.deepcopy(module).to(dtype)
    corners.watch(module)
    tensor = torch.tensor(first(x).copy())
    if x.dtype.kind == "f":
        tensor = tensor.to(dtype).requires_grad_()
    output = module(tensor)
    found = {"output": last(output.detach().double().numpy())}
    grad = numbers(found["output"].shape, 77) if upstream is None else upstream
    output.backward(torch.tensor(first(grad).copy()).to(dtype))
    if x.dtype.kind == "f":
        found["input gradient"] = last(tensor.grad.double().numpy())
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            found[f"{name} gradient"] = parameter.grad.double().numpy()
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            found[name] = buffer.double().numpy()
    return found
