"""What every layer and loss is put through: three independent witnesses of its gradients.

1. central differences in float64 (``check_gradients``), for parameters and inputs, with a random upstream gradient;
2. ``mx.grad`` of the forward;
3. PyTorch, element by element, where a counterpart exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import torch

import miniframe as mf
from miniframe.core.cells import put_values, values_of


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random float64 numbers, the same for the same seed."""
    return np.random.default_rng(seed).normal(size=shape) * scale


def close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Assert equal shapes and a relative difference, against the largest expected value, of at most tolerance."""
    actual, expected = np.asarray(_numpy(actual), np.float64), np.asarray(_numpy(expected), np.float64)
    assert actual.shape == expected.shape, f"shapes {actual.shape} and {expected.shape}"
    scale = max(np.abs(expected).max(initial=0), 1e-3)
    np.testing.assert_allclose(actual / scale, expected / scale, atol=tolerance, rtol=0)


def _numpy(x: Any) -> Any:
    return x.detach().numpy() if isinstance(x, torch.Tensor) else np.array(x)


def by_differences(module: mf.Module, *inputs: np.ndarray, **options: Any) -> None:
    """Witness 1. Also: the report must have compared something that is not zero."""
    report = mf.check_gradients(module, *inputs, **options)
    assert report.passed, f"\n{report}"
    assert all(np.abs(row.numeric).max() > 0 for row in report.rows), f"a gradient was zero everywhere\n{report}"


def by_mx_grad(module: mf.Module, *inputs: np.ndarray, zero: str = "") -> None:
    """Witness 2: MLX's own differentiation of the same forward, for float inputs and parameters, in float32.

    Args:
        zero: the path of a parameter that has no gradient but what rounding leaves, here and there.
    """
    arrays = [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in inputs]
    parameters = list(module.parameters())
    values = values_of(parameters)
    floats = [i for i, x in enumerate(arrays) if x.dtype == mx.float32]
    state = mf.random.get_state()
    upstream = mx.array(normal(*module(*arrays).shape, seed=1).astype(np.float32))
    buffers = list(module.buffers())
    statistics = values_of(buffers)

    def scalar(values: list[mx.array], chosen: list[mx.array]) -> mx.array:
        mf.random.set_state(state)
        put_values(parameters, values)
        full = list(arrays)
        for i, x in zip(floats, chosen):
            full[i] = x
        return (module.forward(*full) * upstream).sum()

    grad_values, grad_inputs = mx.grad(scalar, argnums=(0, 1))(values, [arrays[i] for i in floats])
    put_values(parameters, values)
    put_values(buffers, statistics)
    mf.random.set_state(state)
    module.zero_grad()
    module(*arrays)
    received = module.backward(upstream)
    received = received if isinstance(received, tuple) else (received,)
    for (name, p), expected in zip(module.named_parameters(), grad_values):
        close(*((mx.abs(p.grad).max() < 1e-5, True) if name == zero else (p.grad, expected)))
    for i, expected in zip(floats, grad_inputs):
        close(received[i], expected)


def by_torch(
    module: mf.Module,
    reference: Callable[..., torch.Tensor],
    *inputs: np.ndarray,
    weights: dict[str, tuple[torch.Tensor, Callable[[np.ndarray], np.ndarray]]] | None = None,
    tolerance: float = 1e-5,
    layout: Callable[[np.ndarray], np.ndarray] = lambda a: a,
    back: Callable[[np.ndarray], np.ndarray] = lambda a: a,
) -> None:
    """Witness 3: a PyTorch function or module with the same numbers gives the same output and gradients.

    Args:
        reference: called with the inputs as tensors, after ``layout``.
        weights: parameter path to (torch parameter, function that brings its layout to miniframe's).
        layout, back: to PyTorch's layout (channels first) and back.
    """
    arrays = [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in inputs]
    tensors = [torch.tensor(layout(x.astype(np.float32)) if x.dtype.kind == "f" else x) for x in inputs]
    for tensor in tensors:
        tensor.requires_grad_(tensor.is_floating_point())
    module.zero_grad()
    output = module(*arrays)
    expected = reference(*tensors)
    close(output, back(expected.detach().numpy()), tolerance)
    upstream = normal(*output.shape, seed=2).astype(np.float32)
    received = module.backward(mx.array(upstream))
    received = received if isinstance(received, tuple) else (received,)
    expected.backward(torch.tensor(layout(upstream)))
    for grad, tensor in zip(received, tensors):
        if tensor.grad is not None:
            close(grad, back(tensor.grad.numpy()), tolerance)
    named = dict(module.named_parameters())
    for path, (tensor, convert) in (weights or {}).items():
        close(named[path].grad, convert(tensor.grad.numpy()), tolerance)
