"""Lessons 2 to 4: the backwards of the first layers."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..layers import Dropout, Linear, ReLU, Sigmoid, Tanh
from .exercise import Namespace, Wrong, exercise
from .judge import found, judge_layer, normal, same

HEAD = '''"""

import mlx.core as mx

import miniframe as mf

'''
BACKWARD = """
    def backward(self, grad_output):
        {saved} = self.saved
        raise NotImplementedError("your turn")
"""


@exercise(
    "2.2",
    "Write this backward: Sigmoid",
    "\n    y = 1 / (1 + exp(-x))\n\nForward has saved y. Express the derivative through y."
    + "\n"
    + HEAD
    + """
class MySigmoid(mf.Module):
    def forward(self, x):
        y = mx.sigmoid(x)
        self.saved = y
        return y
"""
    + BACKWARD.format(saved="y"),
    forbidden=("Sigmoid",),
)
def sigmoid(names: Namespace) -> None:
    x = normal(4, 3)
    y = 1 / (1 + np.exp(-x))
    mistakes = {
        "input": [
            (lambda a, b, u: same(a, u * (1 - y * y)), "1 - y² belongs to tanh. For the sigmoid, differentiate again."),
            (lambda a, b, u: same(a, u * x * (1 - x)), "What forward saved is y, not x: does your formula use y?"),
            (lambda a, b, u: same(a, u * y), "Half of it. The derivative vanishes where y is near 0 and near 1."),
        ]
    }
    judge_layer(found(names, "MySigmoid")(), x, like=Sigmoid(), mistakes=mistakes)
    _other_shapes(found(names, "MySigmoid"), Sigmoid())


def _other_shapes(cls: Any, like: Any) -> None:
    """One number, one sample, more axes, and large inputs, for a layer that works element by element."""
    for x in (normal(1), normal(1, 7), normal(2, 3, 2), 40 * normal(3, 3)):
        judge_layer(cls(), x, like=like)


@exercise(
    "3.1",
    "Write this backward: the quotient of two inputs",
    "\n    z = x / y\n\nReturn two gradients, (dx, dy).\n"
    + HEAD
    + """
class Quotient(mf.Module):
    def forward(self, x, y):
        self.saved = x, y
        return x / y
"""
    + BACKWARD.format(saved="x, y"),
)
def quotient(names: Namespace) -> None:
    x, y = normal(4, 3), 2 + normal(4, 3, seed=1) ** 2
    mistakes = {
        "input 0": [
            (lambda a, b, u: same(a, -u * x / y**2), "The two gradients are swapped: return (dx, dy), in this order."),
            (lambda a, b, u: same(a, u * y), "That is the product's rule: x / y is x times 1/y."),
        ],
        "input 1": [
            (lambda a, b, u: same(a, -b), "The gradient of y has the wrong sign: a larger divisor, a smaller result."),
            (lambda a, b, u: same(a, -u / y**2), "dy misses x: z = x · (1/y), and x multiplies the whole."),
            (lambda a, b, u: same(a, -u * x / y), "dy: the derivative of 1/y has a higher power of y."),
        ],
    }
    judge_layer(found(names, "Quotient")(), x, y, like=lambda a, b: a / b, mistakes=mistakes)
    for shape in ((1,), (3, 3), (2, 1, 4)):
        signs = np.sign(normal(*shape, seed=2))
        inputs = 3 * normal(*shape), signs * (0.5 + normal(*shape, seed=1) ** 2)
        judge_layer(found(names, "Quotient")(), *inputs, like=lambda a, b: a / b)


@exercise(
    "4.1",
    "Write this backward: Linear",
    "\n    Y = X Wᵀ + b,    X: (N, D), W: (K, D), b: (K,), Y: (N, K)\n\nAdd to the gradients of weight and bias with "
    "accumulate, return the gradient of X.\n"
    + HEAD
    + """
class MyLinear(mf.Module):
    def __init__(self, inputs, outputs):
        self.weight = mf.Parameter(mx.random.normal((outputs, inputs)))
        self.bias = mf.Parameter(mx.random.normal((outputs,)))

    def forward(self, x):
        self.saved = x
        return x @ self.weight.value.T + self.bias.value
"""
    + BACKWARD.format(saved="x"),
    points=2,
    forbidden=("Linear",),
)
def linear(names: Namespace) -> None:
    module = found(names, "MyLinear")(3, 4)
    reference = Linear(3, 4)
    reference.weight, reference.bias = module.weight, module.bias
    bias = [
        (lambda a, b, u: same(a, u[0]), "The gradient of bias is that of the first sample only."),
        (lambda a, b, u: same(a, np.ones(4) * 5), "The gradient of bias counts samples instead of adding gradients."),
    ]
    judge_layer(module, normal(5, 3), like=reference, mistakes={"bias": bias})
    judge_layer(found(names, "MyLinear")(3, 3), normal(3, 3), mistakes=_square_mistakes())
    for inputs, outputs, samples in ((1, 1, 1), (6, 2, 1), (2, 5, 9)):
        judge_layer(found(names, "MyLinear")(inputs, outputs), normal(samples, inputs))


def _square_mistakes() -> dict[str, Any]:
    """Where all shapes are equal, a transpose goes unnoticed by shapes."""
    return {
        "weight": [
            (lambda a, b, u: same(a, b.T), "The gradient of weight is transposed: weight is (outputs, inputs).")
        ],
        "input": [
            (
                lambda a, b, u: True,
                "With a square weight the shapes fit either way, and yours is the wrong one: which index of weight "
                "belongs to the outputs?",
            )
        ],
    }


@exercise(
    "4.2",
    "Write this backward: ReLU",
    "\n    y = max(x, 0)\n\nForward has saved x. At x = 0 say 0.\n"
    + HEAD
    + """
class MyReLU(mf.Module):
    def forward(self, x):
        self.saved = x
        return mx.maximum(x, 0)
"""
    + BACKWARD.format(saved="x"),
    forbidden=("ReLU", "relu"),
)
def relu(names: Namespace) -> None:
    x = normal(5, 4)
    positive = x > 0
    mistakes = {
        "input": [
            (
                lambda a, b, u: same(a, np.maximum(u, 0)),
                "You applied ReLU to the gradient. What decides is the sign of x, not that of the gradient.",
            ),
            (lambda a, b, u: same(a, u * np.maximum(x, 0)), "You multiplied by y. The slope of the line y = x is 1."),
            (lambda a, b, u: same(a, u * x), "You multiplied by x. The slope of the line y = x is 1."),
            (lambda a, b, u: same(a, u * ~positive), "The mask is the wrong way round."),
        ]
    }
    judge_layer(found(names, "MyReLU")(), x, like=ReLU(), mistakes=mistakes)
    _other_shapes(found(names, "MyReLU"), ReLU())
    module = found(names, "MyReLU")()
    module(mx.array([0.0, -0.0, 1e-30, -1e-30]))
    at_zero = np.array(module.backward(mx.array([2.0, 2.0, 2.0, 2.0])))
    if at_zero[0] != 0 or at_zero[1] != 0:
        raise Wrong(f"At x = 0 the gradient should be 0, as the exercise says; yours is {at_zero[0] or at_zero[1]:g}.")
    if at_zero.tolist() != [0, 0, 2, 0]:
        raise Wrong(f"For x = 1e-30 and -1e-30 you say {at_zero[2]:g} and {at_zero[3]:g}: the corner is exactly at 0.")


@exercise(
    "4.3",
    "Write this backward: Tanh",
    "\n    y = tanh(x)\n\nForward has saved y. Express the derivative through y.\n"
    + HEAD
    + """
class MyTanh(mf.Module):
    def forward(self, x):
        y = mx.tanh(x)
        self.saved = y
        return y
"""
    + BACKWARD.format(saved="y"),
    forbidden=("Tanh",),
)
def tanh(names: Namespace) -> None:
    x = normal(4, 3)
    y = np.tanh(x)
    mistakes = {
        "input": [
            (lambda a, b, u: same(a, u * y * (1 - y)), "y (1 - y) belongs to the sigmoid."),
            (lambda a, b, u: same(a, u * (1 - np.tanh(y) ** 2)), "What was saved is already tanh(x): no second tanh."),
            (lambda a, b, u: same(a, u * (1 - y)), "Look at the powers: the derivative is the same at x and at -x."),
            (lambda a, b, u: same(a, u * (1 + y * y)), "A sign: the derivative is largest at x = 0, where it is 1."),
        ]
    }
    judge_layer(found(names, "MyTanh")(), x, like=Tanh(), mistakes=mistakes)
    _other_shapes(found(names, "MyTanh"), Tanh())


@exercise(
    "4.4",
    "Write this backward: Dropout",
    "\n    y = x m,    m is 0 with probability p, else 1 / (1 - p)\n\nForward has saved m; in evaluation mode, None.\n"
    + HEAD
    + """
class MyDropout(mf.Module):
    def __init__(self, p):
        self.p = p

    def forward(self, x):
        if not self.training:
            self.saved = None
            return x
        mask = mx.random.bernoulli(1 - self.p, x.shape).astype(x.dtype) / (1 - self.p)
        self.saved = mask
        return x * mask
"""
    + BACKWARD.format(saved="mask"),
    forbidden=("Dropout",),
)
def dropout(names: Namespace) -> None:
    p = 0.25
    x = normal(20, 6)
    mistakes = {
        "input": [
            (
                lambda a, b, u: same(a, u),
                "All gradients pass. An element that was switched off had no influence on the output: what is its "
                "gradient?",
            ),
            (lambda a, b, u: same(a * (b != 0), b) and bool(np.any(a != b)), "Some switched-off elements get a share."),
            (
                lambda a, b, u: same(a * (1 - p), b),
                "The scale 1 / (1 - p) is applied twice: it is in the mask already.",
            ),
            (lambda a, b, u: same(a, b * (1 - p)), "The scale 1 / (1 - p) is missing: the mask holds it."),
        ]
    }
    judge_layer(found(names, "MyDropout")(p), x, like=Dropout(p), mistakes=mistakes)
    for other, shape in ((0.5, (1, 9)), (0.0, (4, 3)), (0.9, (2, 3, 5))):
        judge_layer(found(names, "MyDropout")(other), normal(*shape), like=Dropout(other))
    try:
        judge_layer(found(names, "MyDropout")(p).eval(), x, like=lambda x: x)
    except (TypeError, AttributeError, ValueError) as error:
        if "NoneType" not in str(error):
            raise
        raise Wrong(
            "In training mode it is right. In evaluation mode forward saves None instead of a mask, and there your "
            "backward fails: what should it return then?"
        ) from error
