"""Lessons 10, 14, 16, 17 and 22: models, Jacobians, normalization, embeddings."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from ..core.sequential import Sequential
from ..layers import BatchNorm, Embedding, LayerNorm, Linear, Tanh
from .calls import as_array, call, finite
from .exercise import DERIVATIVES, Namespace, Wrong, exercise
from .judge import Array, found, judge_layer, normal, same
from .layers import BACKWARD, HEAD


@exercise(
    "10.1",
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
    for samples, inputs, classes in ((2, 3, 4), (5, 2, 3), (1, 6, 2)):
        model = Sequential(Linear(inputs, 5), Tanh(), Linear(5, classes))
        x = mx.array(normal(samples, inputs).astype(np.float32))
        for k in range(classes - 1, -1, -1):
            _judge_saliency(as_array(call(names, "saliency", model, x, k)), model, x, k)


def _judge_saliency(a: Array, model: Sequential, x: mx.array, k: int) -> None:
    grads = []
    for other in range(model(x).shape[1]):
        scores = model(x)
        grads.append(np.array(model.backward(mx.zeros(scores.shape).at[:, other].add(1.0))))
    b = grads[k]
    if a.shape != b.shape:
        raise Wrong(f"Expected the input's shape {b.shape}, got {a.shape}.")
    if same(a, sum(grads)):
        raise Wrong("That is the gradient of the sum of all scores. Which upstream gradient asks about class k alone?")
    if same(a, abs(b)) and not same(a, b):
        raise Wrong("The sizes are right; leave the sign, it says which way the score moves.")
    if any(same(a, g) for g in grads[:k] + grads[k + 1 :]):
        raise Wrong("That is the gradient of another class. Classes are counted from 0.")
    if len(x) > 1 and same(a * len(x), b):
        raise Wrong(f"Divided by {len(x)}: an average over samples. Each sample's score is a question of its own.")
    if not same(a, b, 1e-4):
        raise Wrong("This is not the gradient of score k. The upstream gradient has the shape of the scores.")


@exercise(
    "14.1",
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
    deeper = Sequential(Linear(2, 6), Tanh(), Linear(6, 2), LayerNorm(2))
    judge_layer(found(names, "MyResidual")(deeper), normal(1, 2), like=lambda x: x + deeper(x))
    judge_layer(found(names, "MyResidual")(Tanh()), normal(2, 3, 2), like=lambda x: x + mx.tanh(x))


@exercise(
    "14.2",
    "The Jacobian of softmax",
    '''
For one vector y = softmax(x) of length C, return the (C, C) array of all dy_i / dx_j, computed from y alone.
"""

import mlx.core as mx


def softmax_jacobian(y):
    raise NotImplementedError("your turn")
''',
    points=2,
    forbidden=("Softmax", *DERIVATIVES),
)
def softmax_jacobian(names: Namespace) -> None:
    for classes in (4, 2, 7):
        x = normal(classes)
        y = np.exp(x) / np.exp(x).sum()
        numeric = np.zeros((classes, classes))
        for j in range(classes):
            e = np.eye(classes)[j] * 1e-6
            up, down = np.exp(x + e), np.exp(x - e)
            numeric[:, j] = (up / up.sum() - down / down.sum()) / 2e-6
        _judge_jacobian(as_array(call(names, "softmax_jacobian", mx.array(y.astype(np.float32)))), numeric, y)


def _judge_jacobian(a: Array, numeric: Array, y: Array) -> None:
    n = len(y)
    if a.shape == (n,):
        raise Wrong(f"One number for each output? Each of {n} outputs depends on each of {n} inputs: {n * n} numbers.")
    if a.shape != (n, n):
        raise Wrong(f"Expected shape {(n, n)}, got {a.shape}.")
    finite(a, "The result")
    if same(a, np.diag(np.diag(numeric)), 1e-4):
        raise Wrong("The diagonal is right. If one input grows, what happens to the *other* outputs?")
    if same(a, numeric + np.outer(y, y), 1e-4):
        raise Wrong("The denominator depends on x, too: a term is missing everywhere.")
    if same(a, -numeric, 1e-4):
        raise Wrong("All signs are reversed.")
    if same(a, numeric, 1e-4):
        return
    if same(a - np.diag(np.diag(a)), numeric - np.diag(np.diag(numeric)), 1e-4):
        raise Wrong("Right but for the diagonal: how does an output move when its own input does?")
    raise Wrong("Each column must sum to 0, as the outputs always sum to 1; yours sum to " + str(a.sum(0).round(3)))


@exercise(
    "16.1",
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
    for outputs, c, h, w in ((5, 2, 3, 4), (1, 3, 2, 2), (4, 4, 1, 5)):
        weight = normal(outputs, c * h * w).astype(np.float32)
        a = as_array(call(names, "to_channels_last", mx.array(weight), c, h, w))
        _judge_columns(a, weight, normal(c, h, w, seed=1))


def _judge_columns(a: Array, weight: Array, image: Array) -> None:
    expected = weight @ image.reshape(-1)
    if a.shape != weight.shape:
        raise Wrong(f"The shape must stay {weight.shape}, got {a.shape}.")
    if same(a, weight):
        raise Wrong("Nothing has moved. A reshape alone does not change the order of numbers in memory.")
    right = weight.reshape(-1, *image.shape).transpose(0, 2, 3, 1).reshape(weight.shape)
    if same(a @ image.transpose(2, 1, 0).reshape(-1), expected) and not same(a, right):
        raise Wrong("Rows and columns of the image are exchanged: (W, H, C) instead of (H, W, C).")
    if not same(a @ image.transpose(1, 2, 0).reshape(-1), expected, 1e-4) or not same(a, right):
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
    "16.2",
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
    points=3,
    forbidden=("BatchNorm",),
)
def batchnorm(names: Namespace) -> None:
    x = normal(6, 3) * 2
    judge_layer(found(names, "MyBatchNorm")(), x, like=BatchNorm(3), mistakes={"input": _forgotten(x, 0)})
    for samples, features in ((3, 1), (12, 2), (4, 4)):
        x = 5 * normal(samples, features) + 3
        judge_layer(found(names, "MyBatchNorm")(), x, mistakes={"input": _forgotten(x, 0)})


@exercise(
    "17.2",
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
    points=2,
    forbidden=("Embedding",),
)
def embedding(names: Namespace) -> None:
    ids = np.array([1, 3, 1, 0, 1, 3], dtype=np.int32)

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
    module, reference = found(names, "MyEmbedding")(5, 2), Embedding(5, 2)
    reference.weight = module.weight
    judge_layer(module, ids, like=reference, mistakes={"weight": mistakes})
    for count, size, some in ((2, 3, [1]), (4, 1, [3, 3, 3, 3, 3]), (3, 3, [2, 0, 1])):
        judge_layer(found(names, "MyEmbedding")(count, size), np.array(some, dtype=np.int32))


@exercise(
    "22.1",
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
    points=3,
    forbidden=("LayerNorm", "layer_norm"),
)
def layernorm(names: Namespace) -> None:
    x = normal(4, 5) * 2
    z, s = _normalized(x, 1), np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    over_batch = (
        lambda a, b, u: same(a, (u - u.mean(axis=0) - z * (u * z).mean(axis=0)) / s),
        "The means run over the batch; here they run over the features of one sample.",
    )
    mistakes = {"input": [*_forgotten(x, 1), over_batch]}
    judge_layer(found(names, "MyLayerNorm")(), x, like=LayerNorm(5), mistakes=mistakes)
    for shape in ((1, 6), (3, 2), (2, 3, 4)):
        judge_layer(found(names, "MyLayerNorm")(), 5 * normal(*shape) + 3)
