"""Models and weights of other frameworks, in and out. Only the functions that build PyTorch modules need PyTorch."""

from . import onnx_layers as onnx_layers  # teaches export: files that end with .onnx
from .code import to_code as to_code
from .conventions import conventions as conventions
from .fx_import import supported as supported
from .keras import load_keras_weights as load_keras_weights
from .mlx_nn import from_mlx as from_mlx
from .mlx_nn import load_mlx_weights as load_mlx_weights
from .mlx_nn import to_mlx as to_mlx
from .to_torch import to_torch as to_torch
from .torch import from_torch as from_torch
from .torch import load_torch_weights as load_torch_weights
