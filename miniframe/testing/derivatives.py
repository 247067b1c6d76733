"""Checks of a layer's derivatives: the three witnesses, and that gradients add up."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..checking.compare import MX_GRAD, PYTORCH, compare_gradients
from ..checking.gradients import check_gradients
from ..core.arrays import is_floating
from ..core.module import Module
from ..core.node import Node
from ..losses.elementwise import MSELoss
from .subject import Subject, same


def training_gradients(s: Subject) -> str | None:
    """Central differences in float64 agree with backward, in training mode."""
    return by_differences(s, training=True)


def evaluation_gradients(s: Subject) -> str | None:
    """Central differences in float64 agree with backward, in evaluation mode."""
    return by_differences(s, training=False)


def by_differences(s: Subject, training: bool, inputs: list[Any] | None = None) -> str | None:
    given = s.precise() if inputs is None else inputs
    report = check_gradients(s.copy(training), *given, seed=s.seed, tolerance=s.tolerance)
    assert report.passed, str(report)
    return None


def mlx_agrees(s: Subject) -> str | None:
    """MLX's automatic differentiation of the same forward agrees with backward."""
    return _witness(s, MX_GRAD)


def pytorch_agrees(s: Subject) -> str | None:
    """PyTorch agrees: with what ``torch=`` names, or with its counterpart of a layer that miniframe knows."""
    if s.torch is None:
        return _witness(s, PYTORCH)
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed"
    layer, inputs = s.copy(), s.arrays()
    output, received = s.both(layer, inputs)
    tensors = [torch.tensor(np.array(x)) for x in inputs]
    for tensor in tensors:
        tensor.requires_grad_(tensor.is_floating_point())
    module = s.torch
    theirs = dict(module.named_parameters()) if isinstance(module, torch.nn.Module) else {}
    ours = dict(layer.named_parameters())
    pairs: dict[str, Any] = {str(name): theirs[s.weights.get(str(name), str(name))] for name in ours} if theirs else {}
    for name, other in pairs.items():
        with torch.no_grad():
            other.copy_(torch.tensor(np.array(ours[name].value)))
            other.grad = None
    expected = module(*tensors)
    same(output, mx.array(expected.detach().numpy()), "forward and PyTorch's differ: ")
    expected.backward(torch.tensor(np.array(s.upstream(output))))
    for place, (grad, tensor) in enumerate(zip(received, tensors)):
        if tensor.grad is not None:
            same(grad, mx.array(tensor.grad.numpy()), f"the gradient of input {place} and PyTorch's differ: ")
    for name, other in pairs.items():
        same(ours[name].grad, mx.array(other.grad.numpy()), f"the gradient of {name} and PyTorch's differ: ")
    return None


def _witness(s: Subject, name: str) -> str | None:
    """Compare in both modes; where random numbers of training are others' own, in evaluation mode."""
    reasons = [_compared(s, name, training) for training in (True, False)]
    return reasons[0] if all(reasons) else None


def _compared(s: Subject, name: str, training: bool) -> str | None:
    output = s.forward(s.copy(training), s.arrays())
    several = isinstance(output, tuple)
    if not several and not is_floating(output):
        return "the layer does not return numbers that have a gradient"
    target = np.array(s.upstream(mx.zeros((1,)) if several else output)).astype(np.float64)
    layer: Module = _Squares(s.copy(training)) if several else s.copy(training)
    found = compare_gradients(layer, MSELoss(), tuple(s.precise()), target, seed=s.seed)
    if name in found.absent:
        return found.absent[name]
    for what in found.gradients:
        error = found.error(what, name)
        if error is not None:
            assert error <= max(s.tolerance, 1e-6), f"backward and {name} differ for {what} by {error:.1e}"
    return None


class _Squares(Module):
    """A single number from a layer with several outputs: the sum of their squares."""

    def __init__(self, layer: Module) -> None:
        self.layer = layer

    def forward(self, *inputs: Node) -> Node:
        sums = [(part * part).sum().reshape(1) for part in self.layer(*inputs)]
        return sum(sums[1:], sums[0])


def accumulates(s: Subject) -> str | None:
    """A second backward adds to the gradients of the parameters, so that a layer can be used twice."""
    layer, inputs = s.copy(training=False), s.arrays()
    if not list(layer.parameters()):
        return "the layer has no parameters"
    s.both(layer, inputs)
    once = {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    s.both(layer, inputs)
    twice = {name: p.grad for name, p in layer.named_parameters()}
    for name, grad in once.items():
        words = f"after two passes, the gradient of {name} is not twice that of one; use accumulate, which adds: "
        same(twice[name], 2 * grad, words)
    return None


class _Twice(Module):
    """The same layer called twice, and the results added."""

    def __init__(self, layer: Module) -> None:
        self.layer = layer

    def forward(self, *inputs: Node) -> Node:
        half = len(inputs) // 2
        return self.layer(*inputs[:half]) + self.layer(*inputs[half:])


def can_be_shared(s: Subject) -> str | None:
    """Called twice in one model, each call keeps what it needs in ``saved``, and the gradients add up."""
    output = s.forward(s.copy(False), s.arrays())
    if isinstance(output, tuple) or not is_floating(output):
        return "the layer does not return one array of numbers"
    others = [np.array(x)[::-1] if np.ndim(x) else x for x in s.precise()]
    report = check_gradients(_Twice(s.copy(False)), *s.precise(), *others, seed=s.seed, tolerance=s.tolerance)
    assert report.passed, f"{report}\n  what forward leaves for backward belongs into self.saved, once for each call"
    return None
