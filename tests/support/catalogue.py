"""One small example of every layer and loss: how to make it, and random inputs for it.

What must hold for all of them (no false alarm, every mutation caught, saving and loading) is tested over this list, and
a test makes sure that nothing in the package is missing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.layers import arithmetic, combine, elementwise, reductions, shape

Rng = np.random.Generator


@dataclass
class Case:
    """``make()`` is the module, ``inputs(rng)`` the arrays that it is called with."""

    make: Callable[[], mf.Module]
    inputs: Callable[[Rng], tuple[Any, ...]]


def shaped(*shapes: tuple[int, ...]) -> Callable[[Rng], tuple[np.ndarray, ...]]:
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def positive(*shapes: tuple[int, ...]) -> Callable[[Rng], tuple[np.ndarray, ...]]:
    return lambda rng: tuple(rng.uniform(0.3, 2, size=shape) for shape in shapes)


def classes(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(3, 4)), rng.integers(0, 4, size=3)


def bent(rng: Rng) -> tuple[np.ndarray]:
    """Numbers on every piece of an activation that bends at -3, 0, 3 and 6, and none close to a bend."""
    return (np.array([[-5, -3.6, -2, -0.7], [0.6, 1.5, 2.4, 3.6], [4.4, 5.4, 7, 9]]) + rng.uniform(-0.3, 0.3, (3, 4)),)


def logits(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(3, 2)), rng.uniform(size=(3, 2))


def wires() -> mf.Graph:
    x = mf.Input((3,))
    h = mf.Linear(3, 3)(x)
    return mf.Graph(x, h * mf.Tanh()(x) + h)


TABLE, TWO, IMAGE = shaped((2, 3)), shaped((2, 3), (3,)), shaped((2, 4, 4, 2))

CASES: dict[str, Case] = {
    "Identity": Case(mf.Identity, TABLE),
    "Standardize": Case(lambda: mf.Standardize(np.arange(12.0).reshape(4, 3) ** 2), TABLE),
    "ReLU": Case(mf.ReLU, TABLE),
    "LeakyReLU": Case(lambda: mf.LeakyReLU(0.2), TABLE),
    "PReLU": Case(lambda: mf.PReLU(3), TABLE),
    "ELU": Case(mf.ELU, TABLE),
    "Sigmoid": Case(mf.Sigmoid, TABLE),
    "Tanh": Case(mf.Tanh, TABLE),
    "Softplus": Case(mf.Softplus, TABLE),
    "SiLU": Case(mf.SiLU, TABLE),
    "GELU": Case(mf.GELU, TABLE),
    "ReLU6": Case(mf.ReLU6, bent),
    "Hardsigmoid": Case(mf.Hardsigmoid, bent),
    "Hardswish": Case(mf.Hardswish, bent),
    "Softmax": Case(mf.Softmax, TABLE),
    "LogSoftmax": Case(mf.LogSoftmax, TABLE),
    "Add": Case(arithmetic.Add, TWO),
    "Subtract": Case(arithmetic.Subtract, TWO),
    "Multiply": Case(arithmetic.Multiply, TWO),
    "Divide": Case(arithmetic.Divide, TWO),
    "Negate": Case(arithmetic.Negate, TABLE),
    "Power": Case(arithmetic.Power, positive((2, 3), (3,))),
    "MatMul": Case(arithmetic.MatMul, shaped((2, 3), (3, 2))),
    "Exp": Case(arithmetic.Exp, TABLE),
    "Log": Case(arithmetic.Log, positive((2, 3))),
    "Sqrt": Case(arithmetic.Sqrt, positive((2, 3))),
    "Sum": Case(lambda: reductions.Sum(0), TABLE),
    "Mean": Case(lambda: reductions.Mean(1, keepdims=True), TABLE),
    "Max": Case(lambda: reductions.Max(1), TABLE),
    "Min": Case(lambda: reductions.Min(1), TABLE),
    "Abs": Case(elementwise.Abs, TABLE),
    "Square": Case(elementwise.Square, TABLE),
    "Sin": Case(elementwise.Sin, TABLE),
    "Cos": Case(elementwise.Cos, TABLE),
    "Clip": Case(lambda: elementwise.Clip(-0.2, 0.2), TABLE),
    "AsType": Case(lambda: elementwise.AsType(mx.float32), TABLE),
    "Squeeze": Case(lambda: shape.Squeeze(1), shaped((2, 1, 3))),
    "Unsqueeze": Case(lambda: shape.Unsqueeze(-1), TABLE),
    "Index": Case(lambda: arithmetic.Index((slice(None), slice(1, 3))), TABLE),
    "ReshapeTo": Case(lambda: arithmetic.ReshapeTo((3, 2)), TABLE),
    "Transpose": Case(arithmetic.Transpose, TABLE),
    "Concatenate": Case(lambda: combine.Concatenate(1), shaped((2, 3), (2, 1))),
    "Stack": Case(lambda: combine.Stack(1), shaped((2, 3), (2, 3))),
    "ForEachSample": Case(combine.ForEachSample, shaped((1, 2, 3), (4, 2))),
    "Split": Case(lambda: combine.Split([1], axis=1), TABLE),
    "Where": Case(combine.Where, lambda rng: (rng.uniform(size=(2, 3)) > 0.5, *TWO(rng))),
    "Maximum": Case(combine.Maximum, TWO),
    "Minimum": Case(combine.Minimum, TWO),
    "Linear": Case(lambda: mf.Linear(3, 2), TABLE),
    "Embedding": Case(lambda: mf.Embedding(5, 3), lambda rng: (rng.integers(0, 5, size=(2, 3)),)),
    "Dropout": Case(lambda: mf.Dropout(0.4), TABLE),
    "StochasticDepth": Case(lambda: mf.StochasticDepth(0.4), shaped((8, 3))),
    "LayerScale": Case(lambda: mf.LayerScale(3, 0.5), TABLE),
    "ChannelShuffle": Case(lambda: mf.ChannelShuffle(2), shaped((1, 2, 2, 6))),
    "Flatten": Case(mf.Flatten, shaped((2, 2, 3))),
    "Reshape": Case(lambda: mf.Reshape(3, 2), shaped((2, 6))),
    "Checkpointed": Case(lambda: mf.checkpointed(mf.Sequential(mf.Linear(3, 4), mf.Tanh())), TABLE),
    "Residual": Case(lambda: mf.Residual(mf.Linear(3, 3)), TABLE),
    "Conv2d": Case(lambda: mf.Conv2d(2, 2, 2, padding=1, stride=2), shaped((2, 3, 3, 2))),
    "ConvTranspose2d": Case(lambda: mf.ConvTranspose2d(2, 2, 2, stride=2), shaped((2, 2, 2, 2))),
    "MaxPool2d": Case(lambda: mf.MaxPool2d(2), IMAGE),
    "AvgPool2d": Case(lambda: mf.AvgPool2d(2), IMAGE),
    "GlobalAvgPool2d": Case(mf.GlobalAvgPool2d, shaped((2, 2, 2, 2))),
    "ZeroPad2d": Case(lambda: mf.ZeroPad2d(1), shaped((1, 2, 2, 2))),
    "AdaptiveAvgPool2d": Case(lambda: mf.AdaptiveAvgPool2d(2), shaped((1, 3, 3, 2))),
    "Upsample2d": Case(lambda: mf.Upsample2d(2, mode="bilinear"), shaped((1, 2, 2, 2))),
    "BatchNorm": Case(lambda: mf.BatchNorm(3), shaped((4, 3))),
    "LayerNorm": Case(lambda: mf.LayerNorm(4), shaped((2, 4))),
    "ScaledDotProductAttention": Case(mf.ScaledDotProductAttention, shaped((2, 3, 4), (2, 4, 4), (2, 4, 2))),
    "PositionEmbedding": Case(lambda: mf.PositionEmbedding(3, 4), shaped((2, 3, 4))),
    "SinePositionEncoding": Case(mf.SinePositionEncoding, shaped((2, 3, 4))),
    "RotaryEmbedding": Case(mf.RotaryEmbedding, shaped((2, 3, 4))),
    "SplitHeads": Case(lambda: mf.layers.SplitHeads(2), shaped((2, 3, 4))),
    "MergeHeads": Case(mf.layers.MergeHeads, shaped((2, 2, 3, 2))),
    "MultiHeadAttention": Case(lambda: mf.MultiHeadAttention(4, 2, 1, causal=True, rotary=True), shaped((2, 3, 4))),
    "SwiGLU": Case(mf.SwiGLU, shaped((2, 3), (2, 3))),
    "GatedMLP": Case(lambda: mf.GatedMLP(3, 2, bias=True), TABLE),
    "TransformerBlock": Case(lambda: mf.TransformerBlock(4, 2, 3, causal=True, rotary=True), shaped((2, 3, 4))),
    "DecoderBlock": Case(lambda: mf.DecoderBlock(4, 2, 3, context_dim=3, bias=False), shaped((2, 3, 4), (2, 2, 3))),
    "RMSNorm": Case(lambda: mf.RMSNorm(4), shaped((2, 4))),
    "InstanceNorm": Case(lambda: mf.InstanceNorm(2, affine=True), shaped((2, 3, 3, 2))),
    "GroupNorm": Case(lambda: mf.GroupNorm(2, 4), shaped((2, 2, 1, 4))),
    "Conv1d": Case(lambda: mf.Conv1d(2, 2, 2, padding=1, stride=2), shaped((2, 4, 2))),
    "MaxPool1d": Case(lambda: mf.MaxPool1d(2), shaped((2, 4, 2))),
    "AvgPool1d": Case(lambda: mf.AvgPool1d(2), shaped((2, 4, 2))),
    "GlobalAvgPool1d": Case(mf.GlobalAvgPool1d, shaped((2, 3, 2))),
    "GlobalMaxPool1d": Case(mf.GlobalMaxPool1d, shaped((2, 3, 2))),
    "GaussianSample": Case(mf.GaussianSample, shaped((2, 3), (2, 3))),
    "RNN": Case(lambda: mf.RNN(3, 2, num_layers=2), shaped((2, 3, 3))),
    "GRU": Case(lambda: mf.GRU(2, 2, bidirectional=True), shaped((2, 3, 2), (2, 2, 2))),
    "LSTM": Case(lambda: mf.LSTM(2, 2, return_state=True), shaped((2, 3, 2), (2, 1, 2), (2, 1, 2))),
    "Sequential": Case(lambda: mf.Sequential(mf.Linear(3, 3), mf.Tanh()), TABLE),
    "Graph": Case(wires, TABLE),
    "MSELoss": Case(mf.MSELoss, shaped((3, 2), (3, 2))),
    "L1Loss": Case(mf.L1Loss, shaped((3, 2), (3, 2))),
    "HuberLoss": Case(mf.HuberLoss, shaped((3, 2), (3, 2))),
    "BCEWithLogitsLoss": Case(mf.BCEWithLogitsLoss, logits),
    "ELBOLoss": Case(lambda: mf.ELBOLoss(code=2), lambda rng: (rng.normal(size=(3, 6)), rng.uniform(size=(3, 2)))),
    "BCELoss": Case(mf.BCELoss, lambda rng: (rng.uniform(0.05, 0.95, (3, 2)), rng.uniform(size=(3, 2)))),
    "CrossEntropyLoss": Case(mf.CrossEntropyLoss, classes),
    "NLLLoss": Case(mf.NLLLoss, classes),
}

# What is no layer of its own: bases, containers of functions, and helpers that the tests of other files cover; and
# VectorQuantizer, whose gradient is meant to be another than its forward's (see test_sampling.py).
NOT_LISTED = {
    "Module",
    "Loss",
    "Part",
    "Learned",
    "Compare",
    "Tap",
    "BasicBlock",
    "GPT",
    "CharRNN",
    "Diffusion",
    "Encoder",
    "SentenceEncoder",
    "UNet",
    "VAE",
    "ViT",
    "Recurrent",
    "Writer",
    "VectorQuantizer",
}


def spread(module: mf.Module, rng: Rng) -> mf.Module:
    """Give every parameter and running statistic random values, so that no gradient is zero by its start."""
    for parameter in module.parameters():
        parameter.value = mx.array(rng.normal(size=parameter.shape).astype(np.float32))
    return module
