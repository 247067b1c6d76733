"""miniframe: a white-box deep-learning framework. Every derivative is written by hand, checked, and visible."""

import sys as _sys

from . import backend as _backend  # noqa: F401  (first, as it says what is missing where MLX cannot compute)

# isort: split
from . import datasets, explain, functional, interop, losses, models, optimizers, plots
from .backend import distributed
from .backend.distributed import DistributedError
from .backend.machine import prepare as _prepare
from .checking import check_gradients, compare_gradients
from .core import elsewhere as _elsewhere
from .core import random
from .core.arrays import as_array
from .core.cells import Buffer, Parameter
from .core.given import Input, Variable
from .core.module import Module
from .core.node import Node
from .core.random import seed
from .core.sequential import Sequential
from .core.tape import no_grad
from .core.warn import GuardrailWarning
from .data.arrays import batches
from .data.labels import one_hot
from .drawing.graphs import draw
from .drawing.steps import draw_steps
from .graph.graph import Graph
from .insight.backward_steps import backward_steps
from .insight.flight_recorder import FlightRecorder, RecorderWarning
from .insight.jacobian import jacobian, per_sample_gradients
from .insight.jacobian_route import jacobian_route
from .insight.profile import profile
from .insight.trace import trace
from .interop.code import to_code
from .layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    RNN,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm,
    ChannelShuffle,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    DecoderBlock,
    Dropout,
    Embedding,
    Flatten,
    GatedMLP,
    GaussianSample,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Identity,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    MultiHeadAttention,
    PositionEmbedding,
    PReLU,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    RMSNorm,
    RotaryEmbedding,
    ScaledDotProductAttention,
    Sigmoid,
    SiLU,
    SinePositionEncoding,
    Softmax,
    Softplus,
    Standardize,
    StochasticDepth,
    SwiGLU,
    Tanh,
    Tap,
    TransformerBlock,
    Upsample2d,
    VectorQuantizer,
    ZeroPad2d,
    checkpointed,
    concatenate,
    initializers,
    maximum,
    minimum,
    pad_sequences,
    split,
    stack,
    where,
)
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    ELBOLoss,
    HuberLoss,
    L1Loss,
    Loss,
    MSELoss,
    NLLLoss,
)
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, schedules
from .plots.live import LiveCurve
from .saving.description import register
from .saving.model import load
from .training import metrics
from .training.callbacks import Callback
from .training.finite import NonFiniteError
from .training.history import History
from .training.loggers import CSVLogger, LambdaCallback
from .training.model_checkpoint import ModelCheckpoint
from .training.monitors import EarlyStopping, ReduceLROnPlateau
from .training.trackers import MLflowLogger, TensorBoard, WandbLogger
from .training.train_step import train_step
from .version import __version__

__all__ = [  # the table of contents: what dir(mf) and mf.<TAB> show
    # what models are made of
    "Module", "Parameter", "Buffer", "Sequential", "Graph", "Input", "Variable", "Node", "no_grad", "Tap", "Residual",
    "checkpointed",
    "Linear", "Embedding", "Dropout", "Flatten", "Reshape", "Identity", "Standardize",
    "ReLU", "LeakyReLU", "PReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax",
    "ReLU6", "Hardsigmoid", "Hardswish",
    "Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "GlobalAvgPool2d", "AdaptiveAvgPool2d",
    "Upsample2d", "ZeroPad2d", "BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm",
    "LayerScale", "StochasticDepth", "ChannelShuffle",
    "TransformerBlock", "DecoderBlock", "MultiHeadAttention", "ScaledDotProductAttention", "GatedMLP", "SwiGLU",
    "PositionEmbedding", "SinePositionEncoding", "RotaryEmbedding",
    "RNN", "GRU", "LSTM", "Conv1d", "MaxPool1d", "AvgPool1d", "GlobalAvgPool1d", "GlobalMaxPool1d",
    "GaussianSample", "VectorQuantizer",
    "concatenate", "stack", "split", "where", "maximum", "minimum", "pad_sequences",
    # how they learn
    "Loss", "MSELoss", "L1Loss", "HuberLoss", "CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss",
    "ELBOLoss",
    "Optimizer", "SGD", "Adagrad", "RMSprop", "Adam", "AdamW",
    "train_step", "batches", "one_hot", "as_array", "seed", "History", "GuardrailWarning", "NonFiniteError",
    "Callback", "LambdaCallback", "CSVLogger", "EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint",
    "TensorBoard", "WandbLogger", "MLflowLogger",
    "LiveCurve",
    "FlightRecorder", "RecorderWarning", "DistributedError",
    # proof and insight
    "check_gradients", "compare_gradients", "to_code", "trace", "backward_steps", "jacobian", "jacobian_route",
    "per_sample_gradients", "draw", "draw_steps", "profile",
    # files
    "load", "register",
    # a module for each of these
    "datasets", "distributed", "explain", "functional", "initializers", "interop", "lab", "losses", "metrics", "models",
    "optimizers", "plots", "random", "schedules", "testing",
    "__version__",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)


# modules that live in a folder, under the names by which they are imported: from miniframe.schedules import cosine
for _module in (distributed, initializers, metrics, random, schedules):
    _sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module

# what is said of a name that is not there; hidden from type checkers, to whom it would mean that any name will do
globals()["__getattr__"] = _elsewhere.names_of(__name__, _elsewhere.OF_PACKAGE, later=("lab", "testing"))
vars(functional)["__getattr__"] = _elsewhere.names_of(functional.__name__, _elsewhere.OF_FUNCTIONAL)

_prepare()
