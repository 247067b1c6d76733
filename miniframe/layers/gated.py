"""Gated layers: some features decide how much of others passes, as in most language models since 2023."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..backend.exponential import sigmoid
from ..core.module import Module
from .linear import Linear


class SwiGLU(Module):
    """z = silu(g) u with silu(g) = g s, s = sigmoid(g): the gate g decides how much of u passes.

        dg = dz u (s + silu(g) (1 - s)),   du = dz silu(g)

    Shazeer 2020. Inputs: the gate and what passes through it, of the same shape.

    >>> layer = SwiGLU()
    >>> layer(mx.array([0.0, 20.0]), mx.array([3.0, 3.0])).tolist()
    [0.0, 60.0]
    >>> [grad.tolist() for grad in layer.backward(mx.array([1.0, 1.0]))]
    [[1.5, 3.0], [0.0, 20.0]]
    """

    def forward(self, gate: mx.array, x: mx.array) -> mx.array:
        if gate.shape != x.shape:
            raise self.wrong("a gate of the shape of what passes through it", (gate.shape, x.shape))
        s = sigmoid(gate)
        opened = gate * s
        self.saved = x, s, opened
        return opened * x

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        x, s, opened = self.saved
        return grad_output * x * (s + opened * (1 - s)), grad_output * opened


class GatedMLP(Module):
    """Y = (silu(X Wgᵀ) ⊙ X Wuᵀ) Wdᵀ: two layers of a perceptron, the first of them gated by SwiGLU.

    Shazeer 2020. It only composes ``gate``, ``up``, ``swiglu`` and ``down``, so its backward is their calls, last to
    first.

    Args:
        embed_dim: last axis of the input and of the output.
        hidden_dim: of the layer between; 8/3 embed_dim gives as many weights as 4 embed_dim without a gate.
        bias: whether the linear layers add b; they do not by default.

    Shapes: (N, ..., embed_dim) -> the same.

    >>> GatedMLP(4, 8)(mx.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    samples_apart = True

    def __init__(self, embed_dim: int, hidden_dim: int, bias: bool = False) -> None:
        if embed_dim < 1 or hidden_dim < 1:
            raise ValueError(f"GatedMLP: expected positive sizes, got {embed_dim} and {hidden_dim}")
        self.embed_dim, self.hidden_dim = embed_dim, hidden_dim
        self.gate, self.up = Linear(embed_dim, hidden_dim, bias), Linear(embed_dim, hidden_dim, bias)
        self.swiglu = SwiGLU()
        self.down = Linear(hidden_dim, embed_dim, bias)

    def settings(self) -> str:
        return f"{self.embed_dim} -> {self.hidden_dim} -> {self.embed_dim}"

    def forward(self, x: Any) -> Any:
        return self.down(self.swiglu(self.gate(x), self.up(x)))


def swiglu(gate: Any, x: Any) -> Any:
    """silu(gate) x. dgate = dz x (s + silu(gate) (1 - s)) with s = sigmoid(gate), dx = dz silu(gate).

    >>> swiglu(mx.array([20.0]), mx.array([3.0])).tolist()
    [60.0]
    """
    return SwiGLU()(gate, x)
