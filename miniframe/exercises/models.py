"""Lessons 7, 8, 10 and 13: models, Jacobians, normalization, embeddings."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ..core.sequential import Sequential
from ..layers import Linear, Tanh
from .exercise import Namespace, Wrong, exercise
from .judge import Array, found, judge_layer, normal, same
from .layers import BACKWARD, HEAD


@exercise(
    "7.1",
    "Saliency: which inputs move the score?",
    '''
The gradient of the model's score of class k with respect to its input, for each sample: use model.backward with the
right upstream gradient. x: (N, ...), scores: (N, classes), the result has x's shape.
"""

import mlx.core as mx


def saliency(model, x, k):
    scores = model(x)
    raise NotImplementedError("your turn")
''',
)
def saliency(names: Namespace) -> None:
    model = Sequential(Linear(3, 5), Tanh(), Linear(5, 4))
    x = mx.array(normal(2, 3).astype(np.float32))
    grads = []
    for k in range(4):
        model(x)
        grads.append(np.array(model.backward(mx.zeros((2, 4)).at[:, k].add(1.0))))
    a, b = np.array(found(names, "saliency")(model, x, 2)), grads[2]
    if a.shape != b.shape:
        raise Wrong(f"Expected the input's shape {b.shape}, got {a.shape}.")
    if same(a, sum(grads)):
        raise Wrong("That is the gradient of the sum of all scores. Which upstream gradient asks about class k alone?")
    if same(a, abs(b)):
        raise Wrong("The sizes are right; leave the sign, it says which way the score moves.")
    if any(same(a, g) for g in grads[:2] + grads[3:]):
        raise Wrong("That is the gradient of another class. Classes are counted from 0.")
    if same(a * 2, b):
        raise Wrong("Half of it: an average over samples. Each sample's score is a question of its own.")
    if not same(a, b, 1e-4):
        raise Wrong("This is not the gradient of score k. The upstream gradient has the shape of the scores.")


@exercise(
    "8.1",
    "Write this backward: a residual connection",
    "\n    y = x + inner(x)\n\nThe inner module has a backward of its own; use it.\n"
    + HEAD
    + """
class MyResidual(mf.Module):
    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        self.saved = ()
        return x + y
"""
    + BACKWARD.format(saved="_"),
)
def residual(names: Namespace) -> None:
    inner = Sequential(Linear(3, 3), Tanh())
    mistakes = {
        "input": [
            (lambda a, b, u: same(a, u), "Only the short cut: the way through the inner module is missing."),
            (lambda a, b, u: same(a + u, b), "Only the inner module: x also reaches y directly."),
            (lambda a, b, u: same(a - u, (b - u) * 2), "The inner module's part counts twice. Call its backward once."),
        ],
    }
    judge_layer(found(names, "MyResidual")(inner), normal(4, 3), like=lambda x: x + inner(x), mistakes=mistakes)


@exercise(
    "8.2",
    "The Jacobian of softmax",
    '''
For one vector y = softmax(x) of length C, return the (C, C) array of all dy_i / dx_j, computed from y alone.
"""

import mlx.core as mx


def softmax_jacobian(y):
    raise NotImplementedError("your turn")
''',
)
def softmax_jacobian(names: Namespace) -> None:
    x = normal(4)
    y = np.exp(x) / np.exp(x).sum()
    numeric = np.zeros((4, 4))
    for j in range(4):
        e = np.eye(4)[j] * 1e-6
        up, down = np.exp(x + e), np.exp(x - e)
        numeric[:, j] = (up / up.sum() - down / down.sum()) / 2e-6
    a = np.array(found(names, "softmax_jacobian")(mx.array(y.astype(np.float32))))
    if a.shape == (4,):
        raise Wrong("That is one number for each output. Each of 4 outputs depends on each of 4 inputs: 16 numbers.")
    if a.shape != (4, 4):
        raise Wrong(f"Expected shape (4, 4), got {a.shape}.")
    if same(a, np.diag(np.diag(numeric)), 1e-4):
        raise Wrong("The diagonal is right. If one input grows, what happens to the *other* outputs?")
    if same(a, numeric + np.outer(y, y), 1e-4):
        raise Wrong("The denominator depends on x, too: a term is missing everywhere.")
    if same(a, -numeric, 1e-4):
        raise Wrong("All signs are reversed.")
    if not same(a, numeric, 1e-4):
        raise Wrong("Each column must sum to 0, as the outputs always sum to 1; yours sum to " + str(a.sum(0).round(3)))


@exercise(
    "10.1",
    "The columns of the first Linear after Flatten",
    '''
PyTorch flattens an image as (C, H, W), miniframe as (H, W, C). Permute the columns of a weight (out, C*H*W) from
PyTorch so that the layer gives the same result on a flattened channels-last image: (out, H*W*C).
"""

import mlx.core as mx


def to_channels_last(weight, channels, height, width):
    raise NotImplementedError("your turn")
''',
)
def to_channels_last(names: Namespace) -> None:
    c, h, w = 2, 3, 4
    weight, image = normal(5, c * h * w).astype(np.float32), normal(c, h, w, seed=1).astype(np.float32)
    a = np.array(found(names, "to_channels_last")(mx.array(weight), c, h, w))
    expected = weight @ image.reshape(-1)
    if a.shape != weight.shape:
        raise Wrong(f"The shape must stay {weight.shape}, got {a.shape}.")
    if same(a, weight):
        raise Wrong("Nothing has moved. A reshape alone does not change the order of numbers in memory.")
    if same(a @ image.transpose(2, 1, 0).reshape(-1), expected):
        raise Wrong("Rows and columns of the image are exchanged: (W, H, C) instead of (H, W, C).")
    if not same(a @ image.transpose(1, 2, 0).reshape(-1), expected, 1e-4):
        raise Wrong("Not the right order. First give the columns their three axes back: in which order does PyTorch "
                    "store them?")  # fmt: skip


def _normalized(x: Array, axis: int) -> Array:
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)


def _forgotten(x: Array, axis: int) -> list[tuple]:
    """What it looks like when the mean or the variance is taken for a constant."""
    z, s = _normalized(x, axis), np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)

    def mean(v: Array) -> Array:
        return v.mean(axis=axis, keepdims=True)

    return [
        (lambda a, b, u: same(a, u / s), "Mean and deviation also depend on x: both of their terms are missing."),
        (lambda a, b, u: same(a, (u - mean(u)) / s), "The term of the deviation is missing: it also depends on x."),
        (lambda a, b, u: same(a, (u - z * mean(u * z)) / s), "The term of the mean is missing: it also depends on x."),
        (lambda a, b, u: same(a / s, b), "The division by the deviation is missing."),
    ]


@exercise(
    "10.2",
    "Write this backward: BatchNorm",
    "\n    z = (x - mean) / √(variance + eps) for each column, over the batch\n\nx: (N, D), as in training. Forward "
    "saves z and the deviation. Mean and variance depend on x!\n"
    + HEAD
    + """
class MyBatchNorm(mf.Module):
    def forward(self, x):
        deviation = mx.sqrt(x.var(axis=0, keepdims=True) + 1e-5)
        z = (x - x.mean(axis=0, keepdims=True)) / deviation
        self.saved = z, deviation
        return z
"""
    + BACKWARD.format(saved="z, deviation"),
)
def batchnorm(names: Namespace) -> None:
    x = normal(6, 3) * 2
    judge_layer(found(names, "MyBatchNorm")(), x, mistakes={"input": _forgotten(x, 0)})


@exercise(
    "10.3",
    "Write this backward: Embedding",
    "\n    y[n] = weight[ids[n]]\n\nids: (N,) integers; the same id may occur several times. The gradient of ids "
    "does not exist: return None.\nHint at MLX: array.at[index].add(values) returns a new array.\n"
    + HEAD
    + """
class MyEmbedding(mf.Module):
    def __init__(self, count, size):
        self.weight = mf.Parameter(mx.random.normal((count, size)))

    def forward(self, ids):
        self.saved = ids
        return self.weight.value[ids]
"""
    + BACKWARD.format(saved="ids"),
)
def embedding(names: Namespace) -> None:
    ids = np.array([1, 3, 1, 0, 1], dtype=np.int32)

    def last_only(a: Array, b: Array, u: Array) -> bool:
        kept = np.zeros_like(b)
        kept[ids] = u
        return same(a, kept)

    def averaged(a: Array, b: Array, u: Array) -> bool:
        return same(a, b / np.maximum(np.bincount(ids, minlength=5), 1)[:, None])

    mistakes = [
        (last_only, "A row that was used several times keeps only its last gradient. All uses add up."),
        (averaged, "A row that was used several times gets the mean of its gradients. It is the sum."),
    ]
    judge_layer(found(names, "MyEmbedding")(5, 2), ids, mistakes={"weight": mistakes})


@exercise(
    "13.1",
    "Write this backward: LayerNorm",
    "\n    z = (x - mean) / √(variance + eps) for each row, over its features\n\nx: (N, D). Forward saves z and the "
    "deviation. Mean and variance depend on x!\n"
    + HEAD
    + """
class MyLayerNorm(mf.Module):
    def forward(self, x):
        deviation = mx.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        z = (x - x.mean(axis=-1, keepdims=True)) / deviation
        self.saved = z, deviation
        return z
"""
    + BACKWARD.format(saved="z, deviation"),
)
def layernorm(names: Namespace) -> None:
    x = normal(4, 5) * 2
    z, s = _normalized(x, 1), np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    over_batch = (
        lambda a, b, u: same(a, (u - u.mean(axis=0) - z * (u * z).mean(axis=0)) / s),
        "The means run over the batch; here they run over the features of one sample.",
    )
    judge_layer(found(names, "MyLayerNorm")(), x, mistakes={"input": [*_forgotten(x, 1), over_batch]})
