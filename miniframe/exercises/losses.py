"""Lessons 4 and 6: the gradients at which every backward pass begins."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..layers import Softmax
from .calls import as_array, call
from .exercise import Namespace, Wrong, exercise
from .judge import found, generator, judge_gradient, judge_layer, multiple, normal, same
from .layers import BACKWARD, HEAD


def mean_squared_error(prediction: np.ndarray, target: np.ndarray) -> float:
    return float(((prediction - target) ** 2).mean())


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


def softmax_of(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def times(factor: float) -> Any:
    """Recognises a gradient that is ``factor`` times the right one."""
    return lambda a, b, u: abs((multiple(a, b) or 0) / factor - 1) < 1e-4


@exercise(
    "4.5",
    "Write this backward: the mean squared error",
    '''
    L = Σ (p - t)² / n,    n: the number of all elements of p

Return dL/dp, an array of p's shape.
"""

import mlx.core as mx


def mse_gradient(prediction, target):
    raise NotImplementedError("your turn")
''',
    forbidden=("MSELoss", "mse_loss"),
)
def mse(names: Namespace) -> None:
    mistakes = [
        (times(12), "n times too large: L is a mean, and its derivative keeps the 1/n."),
        (times(3), "You divided by the number of samples; n counts all elements, columns too."),
        (times(0.5), "The 2 of the square is missing."),
        (times(6), "The 2 and the 1/n: one of them is there, the other is not right."),
        (times(-1), "The sign is reversed: if p is too large, L grows with p."),
        (lambda a, b, u: same(a, np.full_like(b, a.flat[0])), "All elements are equal. Each has an error of its own."),
    ]
    for shape in ((4, 3), (1, 5), (2, 3, 2), (6,)):
        prediction, target = normal(*shape), normal(*shape, seed=1)
        judge_gradient(names, "mse_gradient", mean_squared_error, prediction, target, mistakes=mistakes)
        mistakes = mistakes[4:]  # those with a number belong to the first shape


@exercise(
    "6.1",
    "Write this backward: softmax and cross-entropy in one",
    '''
    p = softmax(z),    L = -Σ log p[i, label of i] / N,    N: the number of samples

Return dL/dz for logits z (N, classes) and integer labels (N,). It is short; derive it on paper first.
"""

import mlx.core as mx


def cross_entropy_gradient(logits, labels):
    raise NotImplementedError("your turn")
''',
    points=2,
    forbidden=("CrossEntropyLoss", "cross_entropy"),
)
def cross_entropy_gradient(names: Namespace) -> None:
    logits, labels = normal(4, 3), np.array([0, 2, 1, 2], dtype=np.int32)
    p = softmax_of(logits)
    one_hot = np.eye(3)[labels]
    mistakes = [
        (times(4), "N times too large: the loss is a mean over samples."),
        (times(-1), "The sign is reversed: raising the logit of the right class lowers the loss."),
        (times(4 / 12), "You divided by the number of all elements. Here the mean runs over samples only."),
        (lambda a, b, u: same(a, p / 4), "The label is missing: at the right class the gradient must be negative."),
        (
            lambda a, b, u: same(a, -one_hot / p / 4),
            "That is the derivative with respect to p. One more step of the chain rule: from p to z.",
        ),
        (
            lambda a, b, u: same(a, (softmax_of(logits.T).T - one_hot) / 4, 1e-4),
            "The softmax runs over the wrong axis: the classes of one sample sum to 1.",
        ),
    ]
    judge_gradient(names, "cross_entropy_gradient", cross_entropy, logits, labels, mistakes=mistakes)
    for rows, classes in ((1, 5), (7, 2), (3, 3)):
        labels = generator(2).integers(classes, size=rows).astype(np.int32)
        judge_gradient(names, "cross_entropy_gradient", cross_entropy, normal(rows, classes), labels)
    large = np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1001.0, -999.0]])
    labels = np.array([1, 2], dtype=np.int32)
    result = as_array(call(names, "cross_entropy_gradient", mx.array(large.astype(np.float32)), mx.array(labels)))
    if not same(result, (softmax_of(large) - np.eye(3)[labels]) / 2, 1e-4):
        raise Wrong(
            f"Right for small logits, but for logits of 1000 and -1000 you say {result[0].tolist()}. exp(1000) does "
            "not fit into a float: what can be subtracted from a row without changing its softmax?"
        )


@exercise(
    "6.2",
    "Write this backward: Softmax",
    "\n    y = exp(x) / Σ exp(x) along the last axis\n\nForward has saved y. Every output depends on every input of "
    "its row.\n"
    + HEAD
    + """
class MySoftmax(mf.Module):
    def forward(self, x):
        y = mx.softmax(x, axis=-1)
        self.saved = y
        return y
"""
    + BACKWARD.format(saved="y"),
    points=2,
    forbidden=("Softmax",),
)
def softmax(names: Namespace) -> None:
    x = normal(4, 3)
    y = softmax_of(x)
    mistakes = {
        "input": [
            (
                lambda a, b, u: same(a, u * y * (1 - y)),
                "Only the diagonal: each output also depends on the *other* inputs of its row.",
            ),
            (lambda a, b, u: same(a, u * y), "The sum in the denominator also changes with x: a term is missing."),
            (
                lambda a, b, u: same(a, y * (u - (u * y).sum())),
                "The sum runs over the whole batch; samples know nothing of each other. Keep the rows apart.",
            ),
            (
                lambda a, b, u: same(a, y * (u - u.sum(axis=-1, keepdims=True))),
                "The sum needs weights: which output got how much?",
            ),
        ]
    }
    judge_layer(found(names, "MySoftmax")(), x, like=Softmax(), mistakes=mistakes)
    for shape in ((1, 5), (3, 3), (2, 3, 4)):
        judge_layer(found(names, "MySoftmax")(), normal(*shape), like=Softmax())
