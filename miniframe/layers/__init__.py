"""The layers, one file per family; each is a forward with its backward directly below it."""

from .activations import ELU as ELU
from .activations import GELU as GELU
from .activations import Identity as Identity
from .activations import LeakyReLU as LeakyReLU
from .activations import LogSoftmax as LogSoftmax
from .activations import ReLU as ReLU
from .activations import Sigmoid as Sigmoid
from .activations import SiLU as SiLU
from .activations import Softmax as Softmax
from .activations import Softplus as Softplus
from .activations import Tanh as Tanh
from .convolution import Conv2d as Conv2d
from .convolution import ConvTranspose2d as ConvTranspose2d
from .dropout import Dropout as Dropout
from .linear import Linear as Linear
from .normalization import BatchNorm as BatchNorm
from .normalization import GroupNorm as GroupNorm
from .normalization import LayerNorm as LayerNorm
from .pooling import AvgPool2d as AvgPool2d
from .pooling import GlobalAvgPool2d as GlobalAvgPool2d
from .pooling import MaxPool2d as MaxPool2d
from .shape import Flatten as Flatten
from .shape import Reshape as Reshape
