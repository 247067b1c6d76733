"""Layers with a memory: RNN, GRU and LSTM. Here is one step of each and its derivative; unrolling.py takes all steps.

Sequences are (N, T, C), the batch in front. In every step, a = W_ih x_t + b_ih comes from the input, u = W_hh h + b_hh
from the state before; what the gates make of their parts of a and u is the whole difference between the three.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..backend.exponential import sigmoid, tanh
from .unrolling import Recurrent, States


class RNN(Recurrent):
    """The simple recurrent network: a fully connected layer that also reads its own last output.

        h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)        dz = dh (1 - h²), for both a and u

    Elman 1990, with PyTorch's parameters: ``weight_ih_l0`` (H, C), ``weight_hh_l0`` (H, H), ``bias_ih_l0`` and
    ``bias_hh_l0`` (H,), from U(-1/√H, 1/√H); ``_l1`` for the second layer, ``_reverse`` for the second direction.

    Args:
        input_size: C, last axis of the input.
        hidden_size: H, how many numbers it remembers.
        num_layers: L, each reading the sequence that the one below writes; 1 by default.
        nonlinearity: "tanh" or "relu".
        bias: whether to add b_ih and b_hh.
        bidirectional: whether a second network reads the sequence from its end; D, the number of directions, is then
            2, and the outputs of both stand side by side.
        dropout: the probability with which, in training, each number is dropped that a layer gives to the one above.
        return_sequences: True, the default, gives h of all steps; False only the last, for each direction the one
            with which it has read everything.
        return_state: whether to return the last states, too, as PyTorch does: (output, h).

    Shapes: (N, T, C) -> (N, T, D H), or (N, D H) for the last output. The state to begin with, zeros unless it is
    given as a second input, and the last state are (N, L D, H), the batch in front (PyTorch: (L D, N, H)).

    Sequences of different lengths, filled up to the longest, come with ``mask=`` bools (N, T), True where a step is
    no padding (see ``miniframe.pad_sequences``): there the output is 0 and the state stays as it is, so that the last
    output is that of the last real step, as with PyTorch's ``pack_padded_sequence``.

    Raises:
        ValueError: for an input, a state or a mask of another shape.

    >>> layer = RNN(3, 5)
    >>> layer(mx.zeros((2, 7, 3))).shape
    (2, 7, 5)
    >>> layer.backward(mx.ones((2, 7, 5))).shape, layer.weight_hh_l0.grad.shape
    ((2, 7, 3), (5, 5))
    """

    samples_apart = property(Recurrent.draws_nothing)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNN: expected nonlinearity "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, num_layers, **options)
        self.nonlinearity = nonlinearity

    def settings(self) -> str:
        return super().settings() + (", relu" if self.nonlinearity == "relu" else "")

    def step(self, a: mx.array, u: mx.array, before: States) -> tuple[States, Any]:
        h = tanh(a + u) if self.nonlinearity == "tanh" else mx.maximum(a + u, 0)
        return (h,), h

    def step_backward(self, grads: States, kept: Any) -> tuple[mx.array, mx.array, States]:
        (dh,), h = grads, kept
        dz = dh * (1 - h * h) if self.nonlinearity == "tanh" else dh * (h > 0)
        return dz, dz, (0,)


class GRU(Recurrent):
    """Gated recurrent unit: gates decide how much of the state to read (r) and how much of it to keep (z).

        r = σ(a_r + u_r)        z = σ(a_z + u_z)        n = tanh(a_n + r u_n)        h_t = (1 - z) n + z h_(t-1)

    Cho et al. 2014, in PyTorch's form, where r multiplies u_n with its bias. The rows of the weights are in PyTorch's
    order, r, z, n: ``weight_ih_l0`` is (3H, C), ``weight_hh_l0`` (3H, H), ``bias_ih_l0`` and ``bias_hh_l0`` (3H,).

    Args, shapes and errors: those of RNN, but for ``nonlinearity``.

    >>> layer = GRU(3, 5, return_sequences=False)
    >>> layer(mx.zeros((2, 7, 3))).shape, layer.backward(mx.ones((2, 5))).shape
    ((2, 5), (2, 7, 3))
    """

    samples_apart = property(Recurrent.draws_nothing)
    gates = 3

    def step(self, a: mx.array, u: mx.array, before: States) -> tuple[States, Any]:
        (h,) = before
        r, z, _ = mx.split(sigmoid(a + u), 3, axis=-1)  # one call for all three is faster than two
        a_n, u_n = (mx.split(part, 3, axis=-1)[2] for part in (a, u))
        n = tanh(a_n + r * u_n)
        return ((1 - z) * n + z * h,), (r, z, n, u_n, h)

    def step_backward(self, grads: States, kept: Any) -> tuple[mx.array, mx.array, States]:
        (dh,), (r, z, n, u_n, h) = grads, kept
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (h - n) * z * (1 - z)
        dr = dn * u_n * r * (1 - r)
        return mx.concatenate([dr, dz, dn], axis=-1), mx.concatenate([dr, dz, dn * r], axis=-1), (dh * z,)


class LSTM(Recurrent):
    """Long short-term memory: a second state c, to which is only added, so that gradients last over many steps.

        i = σ(a_i + u_i)    f = σ(a_f + u_f)    g = tanh(a_g + u_g)    o = σ(a_o + u_o)
        c_t = f c_(t-1) + i g                   h_t = o tanh(c_t)

    Hochreiter & Schmidhuber 1997, with the forget gate f of Gers et al. 2000. The rows of the weights are in PyTorch's
    order, i, f, g, o: ``weight_ih_l0`` is (4H, C), ``weight_hh_l0`` (4H, H), ``bias_ih_l0`` and ``bias_hh_l0`` (4H,).

    Args, shapes and errors: those of RNN, but for ``nonlinearity``. The state is two arrays: begin with
    ``layer(x, h, c)``; with ``return_state`` the result is (output, h, c).

    >>> layer = LSTM(3, 5, num_layers=2, bidirectional=True, return_state=True)
    >>> y, h, c = layer(mx.zeros((2, 7, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 7, 10), (2, 4, 5), (2, 4, 5))
    """

    samples_apart = property(Recurrent.draws_nothing)
    gates = 4
    states = 2

    def step(self, a: mx.array, u: mx.array, before: States) -> tuple[States, Any]:
        _, c_before = before
        z = a + u
        i, f, _, o = mx.split(sigmoid(z), 4, axis=-1)  # one call for all four is faster than three
        g = tanh(mx.split(z, 4, axis=-1)[2])
        c = f * c_before + i * g
        tanh_c = tanh(c)
        return (o * tanh_c, c), (i, f, g, o, c_before, tanh_c)

    def step_backward(self, grads: States, kept: Any) -> tuple[mx.array, mx.array, States]:
        (dh, dc), (i, f, g, o, c_before, tanh_c) = grads, kept
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        di = dc * g * i * (1 - i)
        df = dc * c_before * f * (1 - f)
        dg = dc * i * (1 - g * g)
        do = dh * tanh_c * o * (1 - o)
        dz = mx.concatenate([di, df, dg, do], axis=-1)
        return dz, dz, (0, dc * f)
