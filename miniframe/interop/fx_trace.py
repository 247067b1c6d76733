"""A PyTorch module as a list of calls, with what every call gives: torch.fx writes the list, two runs fill it in.

The two runs differ in the number of samples. What is a plain number in both, such as ``x.shape[1] // 2``, is known
then; an axis that has grown from one run to the other is that of the batch, whatever the code did to find its length.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .pairs import FROM_TORCH

SIZES = ("shape", "size", "dim", "ndim", "numel", "device", "dtype", "is_floating_point", "is_cuda")  # no numbers of x
ALIKE = "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full"  # no numbers of x
LEAVES = {  # known as a whole, besides those in the table
    "MultiheadAttention", "StochasticDepth", "TransformerEncoder", "TransformerDecoder", "Transformer",
    "AdaptiveMaxPool2d", "Mish", "SELU", "Softsign", "LogSigmoid", "GLU", "Dropout2d", "RNNCell", "GRUCell", "LSTMCell",
    *(f"{kind}Pad{size}d" for kind in ("Reflection", "Replication", "Circular") for size in (1, 2)),
}  # fmt: skip


class Varies:
    """A plain number, or a tuple of them, that depends on the number of samples."""


@dataclass(frozen=True)
class Seen:
    """What a call gave: a tensor's shape, and which of its axes grow with the batch.

    Attributes:
        shape: on the example.
        grows: for each axis, whether it was another in the second run.
        other: the shape in the second run.
        dtype: PyTorch's.
        constant: the tensor itself, where neither the data nor the number of samples have a say.
        repeated: that for one sample, where it only stands there once for each sample.
    """

    shape: tuple[int, ...]
    grows: tuple[bool, ...]
    other: tuple[int, ...]
    dtype: Any
    constant: Any = None
    repeated: Any = None

    def picked(self, axes: Sequence[int]) -> Seen:
        """What is left of it, or what it becomes, with these axes in this order."""
        shape, grows, other = (tuple(part[axis] for axis in axes) for part in (self.shape, self.grows, self.other))
        return Seen(shape, grows, other, self.dtype)  # type: ignore[arg-type]


@dataclass
class Trace:
    """The calls of a module.

    Attributes:
        nodes: torch.fx's, in order.
        seen: by a node's name, a Seen for a tensor, a tuple of them for several, and the value of anything else.
        data: the names of nodes that hold numbers which depend on the inputs or on parameters.
        examples: what the module was given.
        outputs: what it gave, in evaluation mode.
        sized: whether a call uses the length of an axis, other than that of the batch, as a number.
    """

    nodes: list[Any]
    seen: dict[str, Any]
    data: set[str]
    examples: tuple[Any, ...]
    outputs: Any
    sized: bool


def is_leaf(module: Any) -> bool:
    """Whether a module is called as a whole: PyTorch's own with a counterpart here, or one that ``to_torch`` made."""
    if (composed := getattr(module, "composed", None)) is not None:
        return not composed.composes()
    home = type(module).__module__.split(".")[0]
    return home in ("torch", "torchvision", "miniframe") and type(module).__name__ in {*FROM_TORCH, *LEAVES}


def left_out(module: Any, given: int) -> dict[str, Any]:
    """The inputs that are not given, with what they are by default."""
    parameters = list(inspect.signature(module.forward).parameters.values())[given:]
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def traced(module: Any, graph: Any, examples: tuple[Any, ...]) -> Trace:
    """What the calls of a module give for these examples.

    Raises:
        ValueError: where the module refuses the examples.
    """
    name, examples = type(module).__name__, (*examples, *left_out(module, len(examples)).values())
    data: set[str] = set()
    with _unchanged(module):
        outputs = _outputs(module, examples)
        first = _recorded(module, graph, examples, name, data)
        second = _second(module, graph, examples, name, data)
    nodes = list(graph.nodes)
    seen = {node.name: _together(first[node.name], second[node.name]) for node in nodes if node.name in first}
    return Trace(nodes, seen, data, examples, outputs, _is_sized(nodes, first, seen, data))


def _second(module: Any, graph: Any, examples: tuple[Any, ...], name: str, data: set[str]) -> dict[str, Any]:
    """The run with one sample more: along the first axis, or, where sequences have time there, along the second."""
    try:
        return _recorded(module, graph, tuple(map(_one_more, examples)), name, data)
    except ValueError as error:
        longer = tuple(_one_more(x, int(getattr(x, "ndim", 0) == 3)) for x in examples)
        try:
            return _recorded(module, graph, longer, name, data)
        except ValueError:
            raise error from None


def _recorded(module: Any, graph: Any, examples: tuple[Any, ...], name: str, data: set[str]) -> dict[str, Any]:
    """What every call gives; ``data`` learns which depend on inputs and parameters, and of these, shapes are kept."""
    import torch.fx

    found: dict[str, Any] = {}
    parameters = set(dict(module.named_parameters(remove_duplicate=False)))

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            if node.op == "output":
                return value
            if _is_data(node, value, parameters, data):
                data.add(node.name)
            found[node.name] = _shapes(value) if node.name in data else value
            return value

    try:
        with torch.no_grad(), torch.random.fork_rng():
            given = (x.clone() if isinstance(x, torch.Tensor) else x for x in examples)
            Recorder(torch.fx.GraphModule(module, graph)).run(*given)
    except Exception as error:
        reason = str(error).split("\n\nWhile executing")[0]
        raise ValueError(
            f"from_torch: {name} refuses another number of samples than in the example: {reason}"
        ) from error
    return found


def _outputs(module: Any, examples: tuple[Any, ...]) -> Any:
    """What the module itself gives."""
    import torch

    try:
        with torch.no_grad(), torch.random.fork_rng():
            return module(*(x.clone() if isinstance(x, torch.Tensor) else x for x in examples))
    except Exception as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in examples if x is not None)
        raise ValueError(
            f"from_torch: {type(module).__name__} refuses an example of shape {shapes}: {error}"
        ) from error


def _is_data(node: Any, value: Any, parameters: set[str], data: set[str]) -> bool:
    """Whether a node's numbers depend on inputs or parameters, other than by their shapes."""
    if node.op in ("placeholder", "get_attr"):
        return node.op == "placeholder" or node.target in parameters
    if node.op == "call_module" and any(name.startswith(f"{node.target}.") for name in parameters):
        return True
    about = node.args[1] if node.target is getattr else getattr(node.target, "__name__", node.target)
    if (about if isinstance(about, str) else "") in ALIKE:
        return False
    from_data = any(source.name in data for source in node.all_input_nodes)
    return from_data and (_holds_tensors(value) or about not in SIZES)


def _shapes(value: Any) -> Any:
    """A value whose tensors hold no numbers any more."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to("meta")
    return tuple(map(_shapes, value)) if isinstance(value, (tuple, list)) else value


def _one_more(x: Any, axis: int = 0) -> Any:
    """The example with its first sample once more at the end."""
    import torch

    return torch.cat([x, x.narrow(axis, 0, 1)], axis) if isinstance(x, torch.Tensor) and x.ndim else x


@contextmanager
def _unchanged(module: Any) -> Iterator[None]:
    """Afterwards modes and buffers are as before; inside, nothing is dropped and no statistics are followed."""
    import torch

    modes = [(inner, inner.training) for inner in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    module.eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it leaves zeros in padding, and no gradients
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for inner, training in modes:
            inner.training = training
        for buffer, before in buffers:
            buffer.data.copy_(before)


def _together(first: Any, second: Any) -> Any:
    """What two runs tell of one call."""
    import torch

    if isinstance(first, torch.Tensor):
        one, two = tuple(first.shape), tuple(second.shape)
        grows = tuple(a != b for a, b in zip(one, two))
        constant = None if first.is_meta or one != two or not torch.equal(first, second) else first
        repeated = None if first.is_meta or sum(grows) != 1 else first.narrow(grows.index(True), 0, 1)
        if repeated is not None and not all(torch.equal(repeated.expand_as(part), part) for part in (first, second)):
            repeated = None
        return Seen(one, grows, two, first.dtype, constant, repeated)
    if isinstance(first, (tuple, list)) and any(isinstance(part, torch.Tensor) for part in flat(first)):
        return tuple(_together(a, b) for a, b in zip(first, second))
    return first if first == second else Varies()


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from flat(part)
    else:
        yield value


def _holds_tensors(value: Any) -> bool:
    import torch

    return any(isinstance(part, torch.Tensor) for part in flat(value))


def _is_sized(nodes: list[Any], first: dict[str, Any], seen: dict[str, Any], data: set[str]) -> bool:
    """Whether a number that was computed, other than from the batch, goes into a call that computes."""

    def numbers(node: Any) -> bool:
        return node.name in first and not _holds_tensors(first[node.name]) and not isinstance(seen[node.name], Varies)

    calls = [node for node in nodes if node.name in data and node.op.startswith("call_")]
    return any(numbers(source) for node in calls for source in node.all_input_nodes)


def name_of(node: Any) -> str:
    """What a call is known by: a function's or a method's name, without the mark of working in place."""
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    if node.op == "call_function" and getattr(operator, name, None) is target and name in IN_PLACE:
        return IN_PLACE[name]
    return name.rstrip("_") if node.op == "call_method" or name.endswith("_") else name


IN_PLACE = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv"}


def works_in_place(node: Any, module: Any) -> bool:
    """Whether a call changes its first input, so that who uses it later sees the result."""
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(node.target), "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    marked = name.endswith("_") and not name.startswith("_")
    return marked or name in IN_PLACE or node.kwargs.get("inplace") is True
