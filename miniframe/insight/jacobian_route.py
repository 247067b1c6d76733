"""The chain rule with whole matrices: every layer's Jacobian, multiplied. The same gradient, at a price.

Backward never makes these matrices. It multiplies the one row that is wanted, the gradient, with each of them in turn,
and each layer knows a shorter way to that product. This file takes the long way, so that both can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from ..checking.report import relative_error
from ..core import random
from ..core.arrays import as_array
from ..core.module import Module
from ..core.untouched import untouched
from ..graph.passes import Pass
from ..losses import get as get_loss
from ..losses.base import Loss
from .jacobian import jacobian


@dataclass
class JacobianRoute:
    """What :func:`jacobian_route` found; prints as a table.

    Attributes:
        layers: (name, title, shape of the Jacobian as a matrix) of each layer, in order.
        gradient: of the loss with respect to the input, by the product of Jacobians.
        by_backward: the same, by ``model.backward``.
        error: ‖a - b‖ / (‖a‖ + ‖b‖) between the two.
        jacobian_bytes: of all the matrices and their product.
        backward_bytes: of all the gradients that backward passes from layer to layer.
        jacobian_peak, backward_peak: bytes that MLX held at most during each route, over what it held before.
    """

    layers: list[tuple[str, str, tuple[int, int]]]
    gradient: mx.array
    by_backward: mx.array
    error: float
    jacobian_bytes: int
    backward_bytes: int
    jacobian_peak: int
    backward_peak: int

    def __repr__(self) -> str:
        width = max(len(f"{name}: {title}") for name, title, _ in self.layers)
        lines = [
            f"{f'{name}: {title}':<{width}}  {rows:>7,} x {columns:<7,}  {4 * rows * columns:>15,} bytes"
            for name, title, (rows, columns) in self.layers
        ]
        return "\n".join(
            [
                *lines,
                f"Jacobians and their product: {self.jacobian_bytes:,} bytes, at most {self.jacobian_peak:,} held",
                f"gradients in backward: {self.backward_bytes:,} bytes, at most {self.backward_peak:,} held",
                f"difference of the two gradients: {self.error:.1e}",
            ]
        )


def jacobian_route(model: Module, loss: Loss | str, x: Any, y: Any) -> JacobianRoute:
    """The gradient of the loss with respect to the input, by multiplying the Jacobians of all layers.

        dL/dx = dL/dy · Jₖ · … · J₂ · J₁

    Each Jacobian has a row for every output number of the whole batch and a column for every input number, so its
    size grows with the square of the batch. Compared with ``model.backward``; the model is left as it was.

    Args:
        model: a chain of layers, such as a Sequential.
        loss, x, y: as in training, the loss by its name, too; keep the batch small.

    Raises:
        ValueError: for a model that is no chain.

    >>> from miniframe import Linear, MSELoss, Sequential, Tanh
    >>> model = Sequential(Linear(4, 5), Tanh(), Linear(5, 2))
    >>> route = jacobian_route(model, MSELoss(), mx.ones((3, 4)), mx.zeros((3, 2)))
    >>> [shape for _, _, shape in route.layers], route.error < 1e-6
    ([(15, 12), (15, 15), (6, 15)], True)
    """
    loss = get_loss(loss)
    data = as_array(x, where="jacobian_route")
    with untouched(model, loss):
        chain = _chain(model, data)
        state = random.get_state()
        product, layers, jacobian_bytes, jacobian_peak = _multiply(chain, loss, data, y)
        random.set_state(state)
        by_backward, backward_peak = _backward(model, loss, data, y)
    gradient = product.reshape(data.shape)
    a, b = np.array(gradient, dtype=np.float64), np.array(by_backward, dtype=np.float64)
    error = relative_error(a, b, floor=1e-30)
    backward_bytes = data.nbytes + sum(data.itemsize * rows for _, _, (rows, _) in layers)
    return JacobianRoute(
        layers, gradient, by_backward, error, jacobian_bytes, backward_bytes, jacobian_peak, backward_peak
    )


def _chain(model: Module, x: mx.array) -> list[tuple[str, Module]]:
    """The layers of a model that are called one after the other."""
    with untouched(model):
        seen = Pass(model, x, "jacobian_route")
    before = seen.inputs[0]
    chain = []
    for name, node in seen.calls.items():
        if node.inputs != (before,) or node.module is None:
            raise ValueError(f"jacobian_route: expected a chain of layers, but {name!r} reads more or something else")
        before = node
        chain.append((name, node.module))
    return chain


def _multiply(chain: list[tuple[str, Module]], loss: Loss, x: mx.array, y: Any) -> tuple[mx.array, list[Any], int, int]:
    """(gradient as a row, layers with the shapes of their Jacobians, bytes of all matrices, bytes held at most)."""
    held = _start_measuring()
    layers, matrices = [], []
    value = x
    for name, layer in chain:
        matrix = jacobian(layer, value)
        value = layer(value)  # the random state is as before, so a Dropout draws the same mask
        matrices.append(matrix.reshape(value.size, -1))
        layers.append((name, layer.title(), matrices[-1].shape))
    loss(value, as_array(y))
    product = matrices[-1]
    for matrix in reversed(matrices[:-1]):
        product = product @ matrix
    gradient = loss.gradient().reshape(1, -1) @ product
    mx.eval(gradient)
    size = sum(matrix.nbytes for matrix in matrices) + (product.nbytes if len(matrices) > 1 else 0)
    return gradient, layers, size, mx.get_peak_memory() - held


def _backward(model: Module, loss: Loss, x: mx.array, y: Any) -> tuple[mx.array, int]:
    held = _start_measuring()
    loss(model(x), as_array(y))
    gradient = model.backward(loss.gradient())
    mx.eval(gradient)
    return gradient, mx.get_peak_memory() - held


def _start_measuring() -> int:
    mx.synchronize()
    mx.reset_peak_memory()
    return mx.get_active_memory()
