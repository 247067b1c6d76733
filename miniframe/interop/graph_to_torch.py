"""A Graph as a PyTorch module: the same calls, with PyTorch's layers under the same names.

Images are (N, C, H, W) where PyTorch's layers want them so, and stay so through what treats all numbers alike; any
other call is made with channels last, as it is here, and its axes turned before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..checking.torch_witness import counterparts
from ..core.cells import Buffer
from ..core.module import Module
from ..core.node import Node
from ..core.parts import Learned
from ..core.untouched import untouched
from ..graph.graph import Graph
from ..graph.passes import Pass
from ..layers import arithmetic
from .activations import SAME
from .layouts import OF_IMAGES, as_numpy, to_torch_layout
from .over_time import OVER_TIME_TO_TORCH
from .pairs import layer_to_torch

ALIKE = (
    *(getattr(mf, name) for name in SAME),
    mf.Dropout,
    mf.LeakyReLU,
    mf.ELU,
    mf.Softplus,
    mf.GELU,
    mf.StochasticDepth,
)
BY_CHANNEL = (mf.BatchNorm, mf.GroupNorm, mf.PReLU, mf.LayerScale, mf.ChannelShuffle)
OPERATORS = (  # of several values, element by element
    arithmetic.Add, arithmetic.Subtract, arithmetic.Multiply, arithmetic.Divide, mf.Maximum, mf.Minimum,
)  # fmt: skip


@dataclass
class Step:
    """One call.

    Attributes:
        name: of the value that it gives.
        function: takes the module's parts by name, and the values.
        sources: the names of its inputs; a number or a constant stands for itself.
        first: whether PyTorch's call has channels first, where there are three axes or more.
        given, gives: how many axes each input and the output have.
    """

    name: str
    function: Callable[..., Any]
    sources: list[Any]
    first: bool
    given: list[int]
    gives: int


def graph_to_torch(graph: Graph, torch: Any) -> Any:
    """A PyTorch module with the graph's calls, its weights set.

    Raises:
        TypeError: for layers without a counterpart, all named.
        ValueError: for a graph whose inputs have no shape.
    """
    with untouched(graph):
        seen = Pass(graph.eval(), tuple(_example(graph)), "to_torch")
    root = torch.nn.Module()
    ndims = {name: node.value.ndim for name, node in seen.calls.items() if hasattr(node.value, "ndim")}
    writer = _Writer(graph, seen, root, torch)
    steps = [step for name, node in seen.calls.items() for step in [writer.step(name, node, ndims)] if step is not None]
    if writer.refused:
        raise TypeError(f"to_torch: no counterpart in PyTorch for {', '.join(writer.refused)}")
    names = {id(node): f"input {k}" for k, node in enumerate(seen.inputs)}
    first = [_is_first(node, seen) for node in seen.inputs]
    outputs = [(writer.names.get(id(node)) or names[id(node)], node.value.ndim) for node in seen.outputs]

    def run(module: Any, *inputs: Any) -> Any:
        values = {(f"input {k}", first[k]): x for k, x in enumerate(inputs)}
        for step in steps:
            values[step.name, step.first and step.gives > 2] = step.function(module, *_arguments(step, values))
        found = [
            _laid_out(values, name, ndim == 4 or (ndim == 3 and name in writer.first), ndim) for name, ndim in outputs
        ]
        return found[0] if graph.single_output else tuple(found)

    forwards = {  # because torch.fx asks for the inputs one by one
        1: lambda self, x: run(self, x),
        2: lambda self, x1, x2: run(self, x1, x2),
        3: lambda self, x1, x2, x3: run(self, x1, x2, x3),
    }
    if len(seen.inputs) not in forwards:
        raise ValueError(f"to_torch: expected a Graph of at most {len(forwards)} inputs, got {len(seen.inputs)}")
    Calls = type("Calls", (torch.nn.Module,), {"forward": forwards[len(seen.inputs)]})
    module = Calls()
    for name, part in root._modules.items():
        module.add_module(name, part)
    for name, parameter in root._parameters.items():
        module.register_parameter(name, parameter)
    _set_weights(graph, module, torch)
    return module


def _example(graph: Graph) -> list[mx.array]:
    """Zeros of the shapes that the inputs have."""
    shapes = getattr(graph, "torch_shapes", None) or [node.hint and node.hint.shape for node in graph.inputs]
    if None in shapes:
        raise ValueError("to_torch: expected a Graph whose inputs have shapes, such as mf.Input((28, 28, 1))")
    types = [node.hint.dtype if node.hint else mx.float32 for node in graph.inputs]
    return [mx.zeros([2 if size is None else size for size in shape], dtype) for shape, dtype in zip(shapes, types)]


def _is_first(node: Node, seen: Pass) -> bool:
    """Whether PyTorch has the channels of an input first: of images, and of what is convolved over time."""
    if node.value.ndim != 3:
        return bool(node.value.ndim == 4)
    layers = [call.module for call in seen.nodes if any(source is node for source in call.inputs)]
    return any(type(layer) in OVER_TIME_TO_TORCH for layer in layers)


# -------------------------------------------------------------------- while PyTorch runs


def _arguments(step: Step, values: dict[tuple[str, bool], Any]) -> list[Any]:
    found = []
    for source, ndim in zip(step.sources, step.given):
        found.append(_laid_out(values, source, step.first and ndim > 2, ndim) if isinstance(source, str) else source)
    return found


def _laid_out(values: dict[tuple[str, bool], Any], name: str, first: bool, ndim: int) -> Any:
    """A value with its channels first or last; what was turned once is kept."""
    if (name, first) not in values:
        other = values[name, not first]
        values[name, first] = other.movedim(ndim - 1, 1) if first else other.movedim(1, ndim - 1)
    return values[name, first]


# -------------------------------------------------------------------- before


class _Writer:
    """Makes the steps of a graph, and PyTorch's modules for its layers."""

    def __init__(self, graph: Graph, seen: Pass, root: Any, torch: Any) -> None:
        self.seen, self.root, self.torch = seen, root, torch
        self.names: dict[int, str] = {id(node): f"input {k}" for k, node in enumerate(seen.inputs)}
        self.first: set[str] = {f"input {k}" for k, node in enumerate(seen.inputs) if _is_first(node, seen)}
        self.functions = counterparts()
        self.refused: list[str] = []

    def step(self, name: str, node: Node, ndims: dict[str, int]) -> Step:
        layer: Any = node.module
        self.names[id(node)] = name
        sources = [self._given(source) for source in node.inputs]
        given = [getattr(source.value, "ndim", 0) for source in node.inputs]
        gives = ndims.get(name, 0)
        images = [isinstance(source, str) and source in self.first for source in sources]
        alike = isinstance(layer, ALIKE) or (isinstance(layer, OPERATORS) and len(set(given)) == 1)
        first = max(given, default=0) > 2 and (
            isinstance(layer, OF_IMAGES) or type(layer) in OVER_TIME_TO_TORCH or isinstance(layer, BY_CHANNEL)
            or (isinstance(layer, mf.LayerNorm) and len(layer.normalized_shape) == 3)
            or (alike and all(images)) or (isinstance(layer, mf.Concatenate) and all(images))
        )  # fmt: skip
        if first and gives > 2:
            self.first.add(name)
        function = self._function(name, layer, bool(first), max(given, default=0), gives)
        return Step(name, function, sources, bool(first), given, gives)

    def _given(self, source: Node) -> Any:
        if id(source) in self.names:
            return self.names[id(source)]
        if isinstance(source.value, (int, float)):
            return source.value
        return self.torch.tensor(as_numpy(source.value))

    def _function(self, name: str, layer: Any, first: bool, ndim: int, gives: int) -> Callable[..., Any]:
        path = self.seen.paths.get(id(layer), name)
        if isinstance(layer, Learned):
            self._register(path, self.torch.nn.Parameter(self.torch.tensor(as_numpy(layer.parameter.value))))
            return lambda module: _at(module, path)
        if isinstance(layer, mf.Concatenate) and first:
            axis = layer.axis % ndim
            dim = 1 if axis == ndim - 1 else axis + (axis > 0)
            return lambda module, *parts: self.torch.cat(parts, dim)
        if isinstance(layer, mf.ForEachSample):
            return lambda module, x, batch: x.expand(batch.shape[0], *(-1,) * (gives - 1))
        part = None
        if not isinstance(layer, (mf.Softmax, mf.LogSoftmax, mf.Flatten)):
            try:
                part = layer_to_torch(layer, self.torch.nn, first and ndim == 4)
            except ValueError as error:
                self.refused.append(str(error).removeprefix("to_torch: "))
        if part is not None:
            self._register(path, part)
            return lambda module, *inputs: module.get_submodule(path)(*inputs)
        function = self.functions.get(type(layer).__name__)
        if function is None or list(layer.parameters()):
            self.refused.append(self.seen.title(name))
            return lambda module, *inputs: None
        return lambda module, *inputs: function(layer, {}, *inputs)

    def _register(self, path: str, part: Any) -> None:
        *holders, last = path.split(".")
        owner = self.root
        for holder in holders:
            if holder not in owner._modules:
                owner.add_module(holder, self.torch.nn.Module())
            owner = owner._modules[holder]
        (owner.register_parameter if isinstance(part, self.torch.nn.Parameter) else owner.add_module)(last, part)


def _at(module: Any, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name)


def _set_weights(graph: Graph, module: Any, torch: Any) -> None:
    """Copy the graph's numbers, whether they learn, and who shares what with whom."""
    theirs: dict[str, Any] = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    owners: dict[str, Module] = dict(graph.named_modules())
    shared: dict[int, Any] = {}
    for path, owner in owners.items():
        for name, cell in owner.children():
            full = path if isinstance(owner, Learned) else f"{path}.{name}"
            if not isinstance(cell, Buffer) or full not in theirs:
                continue
            array = to_torch_layout(owner, as_numpy(cell.value), 1)
            kept = shared.setdefault(id(cell), theirs[full])
            if kept is not theirs[full] and kept.shape == theirs[full].shape:
                holder, _, attribute = full.rpartition(".")
                setattr(module.get_submodule(holder), attribute, kept)
            theirs[full].data.copy_(torch.tensor(np.ascontiguousarray(array)))
            if theirs[full].requires_grad:
                theirs[full].requires_grad_(getattr(cell, "trainable", True))
