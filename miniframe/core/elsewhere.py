"""Names that PyTorch, Keras, scikit-learn or mlx.nn have, and what to write here: the end of errors about them.

Nothing here works under two names. Whoever writes ``model.to("cuda")`` gets the usual AttributeError, with the remedy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from functools import partialmethod
from importlib import import_module
from typing import Any, TypeVar

from .cells import Parameter
from .module import Module
from .node import Node
from .tape import no_grad
from .teach import teach

C = TypeVar("C", bound=Callable[..., Any])

DEVICE = "nothing has to be moved: MLX computes on mx.default_device(), and mx.set_default_device(mx.cpu) changes it"
ALL_WEIGHTS = "write list(model.parameters()), or model.state_dict() for arrays by name"
LEARNING = "write model.parameters(); freeze() and unfreeze() say what learns"
HOOK = "put a layer mf.Tap(forward=..., backward=...) behind it: model.insert(position, mf.Tap(...))"

OF_MODULES = {
    "add": "write model.append(layer)",
    "extend": "write model.append(layer) for each",
    "pop": "write model.remove(position)",
    "add_module": "assigning is enough: self.name = layer",
    "register_module": "assigning is enough: self.name = layer",
    "register_parameter": "assigning is enough: self.name = mf.Parameter(array)",
    "register_buffer": "assigning is enough: self.name = mf.Buffer(array)",
    "add_weight": "assigning is enough: self.name = mf.Parameter(array)",
    "register_forward_hook": HOOK,
    "register_full_backward_hook": HOOK,
    "register_backward_hook": HOOK,
    "named_children": "write model.children()",
    "to": DEVICE,
    "cuda": DEVICE,
    "cpu": DEVICE,
    "device": DEVICE,
    "weights": ALL_WEIGHTS,
    "get_weights": ALL_WEIGHTS,
    "set_weights": "write model.load_state_dict(arrays by name)",
    "variables": ALL_WEIGHTS,
    "trainable_variables": LEARNING,
    "trainable_weights": LEARNING,
    "trainable_parameters": LEARNING,
    "requires_grad_": "write model.freeze() or model.unfreeze()",
    "predict_classes": "write model.predict(x).argmax(axis=-1)",
    "predict_proba": "write F.softmax(model.predict(x)), with import miniframe.functional as F",
    "score": 'write model.evaluate(x, y, metrics=["accuracy"])',
    "partial_fit": "write mf.train_step(model, loss, optimizer, x, y)",
    "train_on_batch": "write mf.train_step(model, loss, optimizer, x, y)",
    "fit_generator": "fit itself takes an iterable of batches (x, y)",
    "load": "write model = mf.load(path)",
    "build": "layers are told their sizes when they are made: Linear(2, 25)",
    "item": "a loss returns its value when it is called: value = loss(model(x), y), and value.item() is the number",
}
OF_PARAMETERS = {
    "data": "write p.value",
    **{name: f"write p.value.{name}()" for name in ("item", "tolist")},
    "numpy": "write np.array(p)",
    "detach": "write p.value",
    "clone": "write p.value; arrays do not change",
    "numel": "write p.size",
    "zero_grad": "write p.grad = None, or model.zero_grad() for all",
}
OF_NODES = {
    "item": "write node.value.item()",
    "tolist": "write node.value.tolist()",
    "numpy": "write np.array(node.value)",
    "data": "write node.value",
    "detach": "write node.value, the numbers without the way back",
    "requires_grad": "every node gets its gradient, in node.grad",
    "zero_grad": "every backward writes the gradients of nodes anew",
    "view": "write node.reshape(...)",
    "permute": "write node.transpose(...)",
    "size": "write node.shape",
    "dim": "write node.ndim",
    "float": "write node.astype(mx.float32)",
    "long": "write node.astype(mx.int32)",
    "contiguous": "leave it out",
}
OF_OPTIMIZERS = {
    "param_groups": "write optimizer.groups; optimizer.lr = 0.01 sets the rate of all",
    "state_dict": "fit(..., checkpoint=folder) keeps it, and resume=True goes on with it",
    "load_state_dict": "fit(..., checkpoint=folder) keeps it, and resume=True goes on with it",
    "minimize": "write mf.train_step(model, loss, optimizer, x, y)",
    "apply_gradients": "write optimizer.step()",
    "learning_rate": "write optimizer.lr",
}
OF_HISTORIES = {
    "plot": "write mf.plots.curves(history)",
    "loss": 'write history["loss"]',
    "params": "write history.epoch and history.history",
}
OF_FUNCTIONAL = {
    "cat": "write F.concatenate([a, b], axis=1)",
    "linear": "write x @ weight.T + bias, or mf.Linear",
    "interpolate": "write F.upsample2d",
    "one_hot": "write mf.one_hot(labels, classes)",
    **{name: f"write the layer mf.{layer}" for name, layer in [
        ("conv1d", "Conv1d"), ("conv2d", "Conv2d"), ("batch_norm", "BatchNorm"), ("layer_norm", "LayerNorm"),
        ("group_norm", "GroupNorm"), ("instance_norm", "InstanceNorm"), ("rms_norm", "RMSNorm"),
        ("embedding", "Embedding"), ("prelu", "PReLU"),
    ]},
    **{name: f"write a loss: loss = mf.{loss}(model), then loss(model(x), y)" for name, loss in [
        ("cross_entropy", "CrossEntropyLoss"), ("mse_loss", "MSELoss"), ("l1_loss", "L1Loss"),
        ("nll_loss", "NLLLoss"), ("binary_cross_entropy", "BCELoss"), ("huber_loss", "HuberLoss"),
        ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss"),
    ]},
}  # fmt: skip
OF_PACKAGE = {
    "Dense": "write mf.Linear(inputs, outputs)",
    "Conv2D": "write mf.Conv2d(channels in, channels out, kernel size)",
    "MaxPooling2D": "write mf.MaxPool2d(size)",
    "BatchNorm1d": "write mf.BatchNorm(features), which is for images, too",
    "BatchNorm2d": "write mf.BatchNorm(channels)",
    "BatchNormalization": "write mf.BatchNorm(features)",
    "Model": "write class MyModel(mf.Module), or mf.Graph(inputs, outputs)",
    "nn": "layers stand in miniframe itself: mf.Linear",
    "optim": "optimizers stand in miniframe itself: mf.SGD",
    "tensor": "arrays are MLX's: mx.array, with import mlx.core as mx; mf.Variable(array) is a node with a gradient",
    "Tensor": "arrays are MLX's: mx.array, with import mlx.core as mx; mf.Variable(array) is a node with a gradient",
    "relu": "write F.relu(x), with import miniframe.functional as F",
    "ModuleList": "a Python list will do: self.layers = [mf.Linear(2, 2), mf.ReLU()]",
    "ModuleDict": "a Python dict will do: self.layers = {'first': mf.Linear(2, 2)}",
    "to_categorical": "write mf.one_hot(labels, classes)",
    "train_test_split": "write mf.datasets.train_test_split(x, y)",
    "StandardScaler": "write mf.Standardize(x_train), a layer that is saved with the model",
    "load_model": "write mf.load(path)",
    "DataLoader": "write mf.batches(x, y, batch_size=32, shuffle=True), or give fit the arrays",
    "save": "write model.save(path)",
    "manual_seed": "write mf.seed(0)",
}


def asked_for(thing: Any, words: Mapping[str, str], name: str) -> Any:
    """What ``__getattr__`` does, which Python calls for a name that an object does not have."""
    if name in words:
        raise AttributeError(f"{type(thing).__name__!r} object has no attribute {name!r}; {words[name]}")
    return object.__getattribute__(thing, name)  # the usual error, or that of a property


def called_here(**names: str) -> Callable[[C], C]:
    """``@called_here(dim="axis")`` above a function: who writes ``dim=`` is told that it is ``axis=`` here."""

    def attach(function: C) -> C:
        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            for name in named:
                if name in names:
                    raise TypeError(f"{function.__name__}: {name} is called {names[name]} here")
            return function(*given, **named)

        return call  # type: ignore[return-value]

    return attach


def not_a_layer(thing: Any) -> str:
    """What was given in place of a layer, and what to write instead."""
    if isinstance(thing, type):
        return f"the class {thing.__name__}; write {thing.__name__}()"
    if isinstance(thing, (list, tuple)):
        return f"a {type(thing).__name__} of {len(thing)}; write Sequential(a, b) or Sequential(*layers)"
    if type(thing).__module__.startswith("mlx.nn"):
        return f"mlx.nn's {type(thing).__name__}; mf.interop.from_mlx translates it"
    if callable(thing):
        return f"the function {getattr(thing, '__name__', thing)!r}; write a layer, such as ReLU()"
    return repr(thing)


class Layers(dict[str, Module]):
    """The layers by name; whoever asks for them by position is told where that is answered."""

    def __missing__(self, key: Any) -> Module:
        hint = f"; by position, write model[{key}]" if isinstance(key, int) else ""
        raise KeyError(f"Sequential: no layer is named {key!r}{hint}")


def names_of(package: str, words: Mapping[str, str], later: Collection[str] = ()) -> Callable[[str], Any]:
    """The same for a module.

    Args:
        later: its modules that are imported when somebody asks for them.

    >>> names_of("miniframe", OF_PACKAGE)("Dense")
    Traceback (most recent call last):
    AttributeError: module 'miniframe' has no attribute 'Dense'; write mf.Linear(inputs, outputs)
    """

    def __getattr__(name: str) -> Any:
        if name in later:
            return import_module(f".{name}", package)
        hint = f"; {words[name]}" if name in words else ""
        raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")

    return __getattr__


def unknown(name: str, remedy: str) -> property:
    """An attribute that can neither be read nor set: without it, setting would do nothing, in silence."""

    def refuse(thing: Any, value: Any = None) -> Any:
        raise AttributeError(f"{type(thing).__name__!r} object has no attribute {name!r}; {remedy}")

    return property(refuse, refuse)


def _around(scope: no_grad, function: Any) -> Any:
    """``@no_grad()`` above a function."""

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        with no_grad():
            return function(*given, **named)

    return call


def _length(node: Node) -> int:
    """The length of the first axis, as of an array."""
    shape = node.shape
    if not shape or not isinstance(shape[0], int):
        raise TypeError(f"{node!r}: has no length, as its first axis is not known")
    return shape[0]


def _defines_forward(cls: type[Module], **options: Any) -> None:
    """mlx.nn's models define ``__call__``: here that would leave nothing for backward."""
    super(Module, cls).__init_subclass__(**options)
    call = getattr(vars(cls).get("__call__"), "__code__", None)
    leads_on = call is None or "super" in call.co_names or "forward" in call.co_names  # to a subclass's forward
    if not leads_on and cls.forward is Module.forward:
        raise TypeError(f"{cls.__name__}: define forward(self, x), not __call__, which records what backward needs")


def trainable(model: Module) -> bool:
    """Whether any parameter learns. Assigning is ``freeze()`` or ``unfreeze()``, in Keras' words."""
    return any(parameter.trainable for parameter in model.parameters())


def _set_trainable(model: Module, value: bool) -> None:
    model.unfreeze() if value else model.freeze()


teach(
    Module,
    __getattr__=partialmethod(asked_for, OF_MODULES),
    __init_subclass__=classmethod(_defines_forward),
    trainable=property(trainable, _set_trainable),
)
teach(Node, __getattr__=partialmethod(asked_for, OF_NODES), __len__=partialmethod(_length))
teach(
    Parameter,
    __getattr__=partialmethod(asked_for, OF_PARAMETERS),
    requires_grad=unknown("requires_grad", "write p.trainable = False"),
)
teach(no_grad, __call__=partialmethod(_around))
