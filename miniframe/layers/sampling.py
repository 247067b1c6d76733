"""What stands in the middle of an autoencoder: a sample drawn from a distribution, or the nearest of a few codes.

Neither drawing nor choosing has a derivative. The first is written so that the chance comes from outside, and then it
has one; the second is given one that is not its own, and learns nevertheless.
"""

from __future__ import annotations

import math

import mlx.core as mx

from ..core import random
from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.module import Module
from ..core.sums import sums_at
from . import initializers


class GaussianSample(Module):
    """Draw z from N(μ, σ²), where an encoder gives μ and l = log σ²; in evaluation mode z = μ.

        z = μ + σ ε,   σ = exp(l / 2),   ε ~ N(0, 1)          dμ = dz,   dl = dz ε σ / 2, with the same ε

    The reparametrisation trick: to draw z itself has no derivative, but for a given ε, z is a plain function of μ and
    l. Kingma & Welling 2014. Their loss adds the divergence from N(0, 1), Σ (μ² + σ² - l - 1) / 2 for each sample;
    with nodes, ``(mu * mu + l.exp() - l - 1).sum(axis=1) / 2``.

    Shapes: μ and l (N, ...), the same -> z (N, ...).

    Raises:
        ValueError: for a mean and a log-variance of different shapes.

    >>> layer = GaussianSample()
    >>> z = layer(mx.zeros((1000, 2)), mx.full((1000, 2), math.log(9)))
    >>> z.shape, 2.8 < mx.sqrt((z * z).mean()).item() < 3.2
    ((1000, 2), True)
    >>> layer.eval()(mx.ones((1, 2)), mx.zeros((1, 2))).tolist()
    [[1.0, 1.0]]
    """

    def forward(self, mean: mx.array, log_variance: mx.array) -> mx.array:
        if mean.shape != log_variance.shape:
            raise self.wrong("a mean and a log-variance of the same shape", (mean.shape, log_variance.shape))
        if not (is_floating(mean) and is_floating(log_variance)):
            raise TypeError(f"{self.title()}: expected real numbers, got {mean.dtype} and {log_variance.dtype}")
        if not self.training:
            self.saved = None
            return mean
        sigma = mx.exp(log_variance / 2)
        noise = mx.random.normal(mean.shape, key=random.next_key()).astype(mean.dtype)
        self.saved = sigma, noise
        return mean + sigma * noise

    def backward(self, grad_output: mx.array) -> tuple[mx.array, mx.array]:
        if self.saved is None:
            return grad_output, mx.zeros_like(grad_output)
        sigma, noise = self.saved
        return grad_output, grad_output * noise * sigma / 2


class VectorQuantizer(Module):
    """Replace each vector by the nearest of K learned codes, and say how far off they are.

        z = e_k,   k = argmin ‖x - e_k‖²          loss = mean (e_k - [x])² + β mean (x - [e_k])²

    What stands in brackets counts as a constant: the first term moves codes to the vectors that chose them, the
    second keeps vectors near their codes. The choice of k has no derivative (z stands still until it jumps), so dz
    goes straight through to x, as if z were x: the straight-through gradient. Hence this is not the derivative of
    the forward, and ``check_gradients`` must object.

        dx = dz + β 2 (x - e_k) dloss / M,   de_k = Σ 2 (e_k - x) dloss / M over all x that chose k

    Here M is how many numbers each sample has. Van den Oord et al. 2017. ``weight`` is (K, D), from U(-1/K, 1/K).

    Args:
        num_codes: K.
        code_dim: D, last axis of the input.
        beta: β; 0.25 by default.

    Shapes: (N, ..., D) -> z (N, ..., D) and loss (N,), to be added to the model's own.

    Raises:
        ValueError: for an input whose last axis is not D.

    >>> layer = VectorQuantizer(2, 1)
    >>> layer.weight.value = mx.array([[0.0], [1.0]])
    >>> z, loss = layer(mx.array([[0.25], [2.0]]))
    >>> z.tolist(), loss.tolist(), layer.codes(mx.array([[0.25], [2.0]])).tolist()
    ([[0.0], [1.0]], [0.078125, 1.25], [0, 1])
    >>> layer.backward((mx.array([[3.0], [3.0]]), mx.zeros((2,)))).tolist()
    [[3.0], [3.0]]
    """

    samples_apart = True
    output_count = 2

    def __init__(self, num_codes: int, code_dim: int, beta: float = 0.25) -> None:
        if num_codes < 1 or code_dim < 1 or beta < 0:
            raise ValueError(
                f"VectorQuantizer: expected positive sizes and beta >= 0, got {num_codes}, {code_dim}, beta={beta}"
            )
        self.num_codes, self.code_dim, self.beta = num_codes, code_dim, beta
        self.weight = Parameter(initializers.uniform((num_codes, code_dim), 1 / num_codes))

    def settings(self) -> str:
        return f"{self.num_codes} codes of {self.code_dim}, beta={self.beta:g}"

    def forward(self, x: mx.array) -> tuple[mx.array, mx.array]:
        self.check(x)
        k = self.codes(x)
        z = self.weight.value[k]
        off = x - z
        self.saved = k, off
        squares = off * off
        return z, (1 + self.beta) * squares.reshape(x.shape[0], -1).mean(axis=1)

    def backward(self, grad_output: tuple[mx.array, mx.array]) -> mx.array:
        grad, grad_loss = grad_output
        k, off = self.saved
        count = math.prod(off.shape[1:])
        pull = 2 * off * grad_loss.reshape(-1, *(1,) * (off.ndim - 1)) / count

        # to the codes: each is pulled to the vectors that chose it
        self.weight.accumulate(sums_at(k, -pull, self.num_codes))

        # to the input: straight through, and pulled to its code
        return grad + self.beta * pull

    def codes(self, x: mx.array) -> mx.array:
        """The number of the nearest code for each vector: (N, ..., D) -> (N, ...); of equally near ones the first."""
        self.check(x)
        codes = self.weight.value
        return mx.argmin((codes * codes).sum(axis=1) - 2 * (x @ codes.T), axis=-1)  # ‖x - e‖² without ‖x‖²

    def check(self, x: mx.array) -> None:
        if x.ndim < 2 or x.shape[-1] != self.code_dim:
            raise self.wrong(f"input (batch, ..., {self.code_dim})", x)
        if not is_floating(x):
            raise TypeError(f"{self.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        return math.prod(input_shape) * self.num_codes
