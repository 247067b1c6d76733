"""miniframe: a white-box deep-learning framework. Every derivative is written by hand, checked, and visible."""

from . import backend as _backend
from . import datasets as datasets
from . import initializers as initializers
from . import losses as losses
from . import metrics as metrics
from . import optimizers as optimizers
from .arrays import as_array as as_array
from .arrays import one_hot as one_hot
from .checking import check_gradients as check_gradients
from .graph import Node as Node
from .graph import Variable as Variable
from .graph import no_grad as no_grad
from .layers import ELU as ELU
from .layers import GELU as GELU
from .layers import Dropout as Dropout
from .layers import Flatten as Flatten
from .layers import Identity as Identity
from .layers import LeakyReLU as LeakyReLU
from .layers import Linear as Linear
from .layers import LogSoftmax as LogSoftmax
from .layers import ReLU as ReLU
from .layers import Reshape as Reshape
from .layers import Sigmoid as Sigmoid
from .layers import SiLU as SiLU
from .layers import Softmax as Softmax
from .layers import Softplus as Softplus
from .layers import Tanh as Tanh
from .losses import BCELoss as BCELoss
from .losses import BCEWithLogitsLoss as BCEWithLogitsLoss
from .losses import CrossEntropyLoss as CrossEntropyLoss
from .losses import HuberLoss as HuberLoss
from .losses import L1Loss as L1Loss
from .losses import Loss as Loss
from .losses import MSELoss as MSELoss
from .losses import NLLLoss as NLLLoss
from .module import Buffer as Buffer
from .module import Module as Module
from .module import Parameter as Parameter
from .optimizers import SGD as SGD
from .optimizers import Optimizer as Optimizer
from .random import seed as seed
from .sequential import Sequential as Sequential
from .training.callbacks import Callback as Callback
from .training.data import batches as batches
from .training.finite import NonFiniteError as NonFiniteError
from .training.history import History as History
from .training.step import train_step as train_step

__version__ = "0.1.0"

_backend.prepare()
