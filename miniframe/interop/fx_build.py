"""A Graph from a trace of a PyTorch module: call by call, each under PyTorch's name."""

from __future__ import annotations

import inspect
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.cells import Parameter
from ..core.given import Input
from ..core.module import Module
from ..core.node import Node
from ..core.parts import Learned
from ..core.words import numbered
from ..graph.graph import Graph
from ..layers import ForEachSample
from .fx_calls import CALLS
from .fx_follow import WHOLE
from .fx_layers import MODULES
from .fx_shapes import SHAPES
from .fx_table import Builder
from .fx_trace import Seen, Trace, Varies, is_leaf, name_of, works_in_place
from .fx_values import Order, Refused, Value, channels_last, plain
from .pairs import FROM_TORCH

SUPPORTED = "mf.interop.supported() prints what has one"


def check_known(module: Any, nodes: list[Any]) -> None:
    """Raise for calls without a counterpart.

    Raises:
        TypeError: naming all of them with their places.
    """
    refused = []
    for node in nodes:
        if node.op == "call_module":
            inner = module.get_submodule(node.target)
            if type(inner).__name__ not in MODULES or not is_leaf(inner):
                hint = " (first remove its parametrizations)" if hasattr(inner, "parametrizations") else ""
                refused.append(f"{node.target!r}, a {type(inner).__name__}{hint}")
        elif node.op in ("call_function", "call_method") and name_of(node) not in CALLS and not _is_plain(node):
            refused.append(f"{place_of(node)}{name_of(node)}()")
    if refused:
        raise TypeError(f"from_torch: no counterpart for {', '.join(dict.fromkeys(refused))}; {SUPPORTED}")


MAKERS = (  # of constants and of plain numbers, whose values the trace knows
    "arange", "zeros", "ones", "full", "empty", "eye", "linspace", "tril", "triu", "tensor", "zeros_like", "ones_like",
    "new_zeros", "new_ones", "full_like", "size", "dim", "numel",
)  # fmt: skip


def _is_plain(node: Any) -> bool:
    """Whether a function makes constants, or is Python's own and may compute plain numbers."""
    home = getattr(node.target, "__module__", None)
    return home in ("_operator", "builtins", "math") or name_of(node) in MAKERS or not node.all_input_nodes


def place_of(node: Any) -> str:
    """The path of the module whose forward makes the call, with a dot behind; nothing for the outermost."""
    path: str = next(reversed(node.meta.get("nn_module_stack", {"": ""})))
    return f"{path}." if path else ""


class GraphBuilder(Builder):
    """Makes the calls of a trace here.

    Args:
        module: the PyTorch module.
        trace: of it.
        exact: whether the graph takes inputs of the examples' sizes only.
    """

    def __init__(self, module: Any, trace: Trace, exact: bool) -> None:
        self.module, self.trace, self.exact = module, trace, exact
        self.tensors = dict(module.named_parameters(remove_duplicate=False))
        self.prefix = f"{WHOLE}." if hasattr(module, "holds_one") else ""
        self.layers: dict[Any, Module] = {}
        self.cells: dict[int, Parameter] = {}
        self.taken: set[str] = {name for name, _ in module.named_modules()} | set(self.tensors)
        self.values: dict[str, Any] = {}
        self.inputs: list[Value] = []
        self.refused: list[str] = []
        self.owners: set[str] = {node.target for node in trace.nodes if node.op == "call_module"}
        self.same: dict[str, list[str]] = {}  # by a call's name, all names of the tensor that it gave
        self.renamed: dict[str, str] = {}
        self.orders: list[Order] = []
        self.place = ""

    def graph(self) -> Graph:
        """The whole model.

        Raises:
            ValueError: for calls with options that have no counterpart, all named with their places.
        """
        outputs: Any = ()
        for node in self.trace.nodes:
            if node.op == "output":
                outputs = self.given(node.args[0])
            elif node.op == "placeholder":
                self.values[node.name] = self.input(node)
            elif node.name in self.trace.data:
                self.values[node.name] = self._made(node)
                if works_in_place(node, self.module) and not isinstance(self.values[node.name], tuple):
                    self._change(node.args[0].name, node.name)
            else:
                self.values[node.name] = self.constant(self.trace.seen[node.name])
        if self.refused:
            raise ValueError(f"from_torch: no counterpart for {', '.join(self.refused)}")
        return self._whole(outputs)

    def _change(self, changed: str, result: str) -> None:
        """A call worked in place: all names of the tensor stand for the result from now on."""
        names = self.same.setdefault(changed, [changed])
        names.append(result)
        self.same[result] = names
        self.values.update(dict.fromkeys(names, self.values[result]))

    def _whole(self, outputs: Any) -> Graph:
        found = list(leaves(outputs))
        finished = [self.finished(value) for value in found if isinstance(value, Value)]
        if len(finished) < len(found) or not finished:
            raise ValueError("from_torch: expected a module that returns tensors that depend on its inputs, got others")
        alone = isinstance(outputs, Value)
        self.orders = [value.order for value in finished]
        graph = Graph([value.node for value in self.inputs], [value.node for value in finished])
        graph.torch_shapes = tuple(  # type: ignore[attr-defined]  # one that the inputs may have, for the way back
            tuple(value.seen.shape[axis] for axis in value.order) for value in self.inputs
        )
        graph.single_input, graph.single_output = len(self.inputs) == 1, alone
        graph.torch_columns = True  # type: ignore[attr-defined]  # of Linear layers: in PyTorch's order (see layouts.py)
        return graph

    # ---------------------------------------------------------------- what is given

    def input(self, node: Any) -> Value | Any:
        """The placeholder for an input: images with channels last, sequences for convolutions, too."""
        seen = self.trace.seen[node.name]
        if not isinstance(seen, Seen):  # an argument that was left out
            return seen
        channel = 1 if len(seen.shape) == 4 or _is_convolved(node, self.module) else None
        order = plain(len(seen.shape)) if channel is None else channels_last(len(seen.shape))
        dtype = mx.float32 if seen.dtype.is_floating_point else mx.bool_ if "bool" in str(seen.dtype) else mx.int32
        shape = (
            tuple(seen.shape[axis] for axis in order)[1:]
            if self.exact and order[:1] == (0,) and seen.grows[0]
            else None
        )
        value = Value(Input(shape, node.name, dtype), seen, order, channel)
        self.inputs.append(value)
        return value

    def constant(self, seen: Any) -> Any:
        """What depends on no data: arrays as nodes, anything else as it is."""
        if isinstance(seen, tuple):
            return tuple(map(self.constant, seen))
        if not isinstance(seen, Seen):
            return seen
        if seen.constant is None and (seen.repeated is None or not self.inputs):
            return Varies()
        array = (seen.repeated if seen.constant is None else seen.constant).detach().cpu().numpy()
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        if seen.constant is not None:
            return Value(Node(mx.array(array)), seen, plain(len(seen.shape)))
        k = seen.grows.index(True)
        order = (k, *(axis for axis in range(array.ndim) if axis != k))
        one = Node(mx.array(np.ascontiguousarray(array.transpose(order))))
        return Value(self.named(ForEachSample(), "expand")(one, self.batch()), seen, order)

    def finished(self, value: Value) -> Value:
        """An output in the order that users see: channels last, and otherwise as PyTorch has it."""
        channel = 1 if value.channel is None and value.ndim == 4 else value.channel
        order: Order = channels_last(value.ndim) if channel == 1 else plain(value.ndim)
        return self.ordered(value, order)

    # ---------------------------------------------------------------- calls

    def given(self, argument: Any) -> Any:
        """An argument with values in place of torch.fx's nodes."""
        import torch.fx

        if isinstance(argument, torch.fx.Node):
            return self.values[argument.name]
        if isinstance(argument, slice):
            return slice(*map(self.given, (argument.start, argument.stop, argument.step)))
        if isinstance(argument, (tuple, list)):
            return (list if isinstance(argument, list) else tuple)(map(self.given, argument))
        if isinstance(argument, dict):
            return {name: self.given(inner) for name, inner in argument.items()}
        return argument

    def _made(self, node: Any) -> Any:
        """What a call gives; what is wrong with it is noted, and the rest looked at."""
        self.place, self.seen = place_of(node), self.trace.seen[node.name]
        args, kwargs = self.given(node.args), self.given(node.kwargs)
        if any(isinstance(part, Refused) for part in leaves((args, list(kwargs.values())))):
            return Refused()
        name = node.target if node.op in ("call_module", "get_attr") else f"{self.place}{name_of(node)}()"
        try:
            if node.op == "get_attr":
                return self._learned(node.target)
            if node.op == "call_module":
                inner = self.module.get_submodule(node.target)
                return MODULES[type(inner).__name__](self, inner, node.target, *args, **kwargs)
            if name_of(node) not in SHAPES and any(isinstance(part, Varies) for part in leaves((args, kwargs))):
                raise ValueError("a number that depends on the number of samples")
            if name_of(node) not in CALLS:
                raise ValueError("of numbers that depend on the data")
            function = CALLS[name_of(node)]
            inspect.signature(function).bind(self, *args, **kwargs)
            return function(self, *args, **kwargs)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            self.refused.append(f"{name!r} ({str(error).removeprefix('from_torch: ')})")
            return Refused()

    def _learned(self, name: str) -> Value:
        """A parameter that the code itself uses."""
        tensor = self.tensors[name]
        if ("learned", name) not in self.layers:
            self.layers["learned", name] = Learned(self.cell(tensor)).named(name)
        node: Node = self.layers["learned", name]()
        seen: Seen = self.trace.seen[next(n.name for n in self.trace.nodes if n.op == "get_attr" and n.target == name)]
        return Value(node, seen, plain(len(seen.shape)), parameter=name)

    def cell(self, tensor: Any) -> Parameter:
        """The parameter for a PyTorch parameter, one for each; its value is set later."""
        if id(tensor) not in self.cells:
            self.cells[id(tensor)] = Parameter(mx.zeros(tuple(tensor.shape)))
        return self.cells[id(tensor)]

    def layer_of(self, module: Any, path: str, settings: Any = None) -> Module:
        """The layer for a PyTorch module, one for each, however often it is called."""
        if id(module) not in self.layers:
            make = FROM_TORCH.get(type(module).__name__)
            layer = module.composed if make is None else make(module if settings is None else settings)
            self.layers[id(module)] = layer.named(path.removeprefix(self.prefix))
        return self.layers[id(module)]

    def batch(self) -> Node:
        """An input whose first axis is that of the samples."""
        return next(value.node for value in self.inputs if value.order and value.seen.grows[value.order[0]])

    def named(self, layer: Module, kind: str) -> Module:
        name = f"{self.place}{kind}"
        name = name if name not in self.taken else numbered(name, self.taken, "_")
        self.taken.add(name)
        return layer.named(name)


def leaves(value: Any) -> list[Any]:
    """What is in a tuple of tuples, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, (tuple, list)) else [value]


def _is_convolved(node: Any, module: Any) -> bool:
    """Whether an input of three axes goes into a layer of PyTorch that has time last."""
    import torch

    users, looked = list(node.users), set()
    while users:
        user = users.pop()
        if user in looked:
            continue
        looked.add(user)
        if user.op == "call_module":
            kind = type(module.get_submodule(user.target)).__name__
            if kind in ("Conv1d", "MaxPool1d", "AvgPool1d"):
                return True
            if kind in ("BatchNorm1d", "Dropout", "Identity", "ReLU"):
                users += list(user.users)
        elif user.target in (torch.conv1d, torch.nn.functional.conv1d):
            return True
    return False
