"""The tape: what a call on nodes does, and how a module that only composes others gets its backward from its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from ..backend.streams import Farewell
from .arrays import as_array
from .cells import EMPTY, Parameter
from .node import FORGOTTEN, Node
from .walk import ancestors, backward, grad_or_zero

if TYPE_CHECKING:
    from .module import Module


class CannotRecord(TypeError):
    """A forward used a node in a way that cannot be recorded; the message names the module."""


tellers: list[Callable[[Module, Exception], CannotRecord | None]] = []  # put such errors into words; see foreign.py


class Tape:
    """What one thread records at the moment.

    Attributes:
        on: whether forward passes keep what backward needs; ``no_grad`` switches it off.
        switched_off: by how many ``no_grad`` that have not been left yet.
        scope: the composite models that are being run on nodes, outermost first.
        calls: the calls made so far by the module whose forward is being recorded; None outside of one.
    """

    __slots__ = ("on", "switched_off", "scope", "calls")

    def __init__(self) -> None:
        self.on, self.switched_off = True, 0
        self.scope: tuple[Module, ...] = ()
        self.calls: list[Node] | None = None


class _ThisThread(threading.local):
    """``tape`` is that of the thread that asks."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.farewell = Farewell()


this_thread = _ThisThread()
not_recording: set[Tape] = set()  # those of all threads; while there are none, a call need not look for its own


class no_grad:
    """``with no_grad():`` forward passes keep nothing for backward, and calls on nodes are not recorded.

    It holds for the thread that enters it. The thread records again when it has left all that it entered, in whatever
    order: generators that are inside of one need not end in the order in which they began, nor in their own thread.
    """

    def __init__(self) -> None:
        self._tapes: list[Tape] = []

    def __enter__(self) -> no_grad:
        tape = this_thread.tape
        self._tapes.append(tape)
        tape.switched_off += 1
        tape.on = False
        not_recording.add(tape)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tape = this_thread.tape if this_thread.tape in self._tapes else self._tapes[-1]
        self._tapes.remove(tape)
        tape.switched_off -= 1
        if tape.switched_off == 0:
            tape.on = True
            not_recording.discard(tape)


# -------------------------------------------------------------------- a call on nodes


def call_on_nodes(module: Module, nodes: tuple[Any, ...]) -> Any:
    """A layer's call on nodes: modules made of others run their forward, anything else becomes one node."""
    values, missing = [], False
    for x in nodes:
        if not isinstance(x, Node):
            return call_on_nodes(module, tuple(x if isinstance(x, Node) else _constant(x) for x in nodes))
        value = x.value
        if value is None:
            missing = True
        values.append(value)
    tape = this_thread.tape  # once, because reaching it takes as long as four attributes
    if module.flattens or module.composes():
        return flattened(module, nodes, tape)
    if missing:
        return _parts(module, Node(None, module, nodes, scope=tape.scope), module.output_count)
    calls = tape.calls
    before = 0 if calls is None else len(calls)
    try:
        value = module.forward(*values)
    except ValueError as error:
        if not str(error).startswith("["):
            raise
        raise with_title(module, nodes, error) from error
    if not tape.on:
        module._saved = EMPTY
        return _forgotten(value) if not isinstance(value, tuple) else tuple(_forgotten(part) for part in value)
    node = Node(value, module, nodes, None, None, tape.scope)
    node.saved = module._saved
    if calls is not None:
        if len(calls) > before:
            del calls[before:]  # what the layer called in its forward is its own business
        calls.append(node)
    return _parts(module, node, len(value)) if isinstance(value, tuple) else node


def flattened(module: Module, nodes: tuple[Node, ...], tape: Tape) -> Any:
    """The forward of a module made of others, on nodes: each inner call becomes one."""
    outside, tape.scope = tape.scope, (*tape.scope, module)
    try:
        return module.forward(*nodes)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        for tell in tellers:
            if told := tell(module, error):
                raise told from error
        raise
    finally:
        tape.scope = outside
        module._saved = EMPTY


def _parts(module: Module, node: Node, several: int | None) -> Any:
    """The node, or one node for each of its outputs."""
    return node if several is None else tuple(call_on_nodes(module.part(index), (node,)) for index in range(several))


def with_title(module: Module, inputs: Sequence[Any], error: ValueError) -> ValueError:
    """An error that MLX raised, which begins with a bracket, with the name of the layer and what it was called with."""
    shapes = ", ".join(str(getattr(x, "shape", x)) for x in inputs)
    return ValueError(f"{module.title()}: got {shapes}; {error}")


def _forgotten(value: mx.array) -> Node:
    node = Node(value)
    node.saved = FORGOTTEN
    return node


def _constant(x: Any) -> Node:
    """Plain numbers stay numbers, so that they take the precision of what they meet; parameters are still learned."""
    if isinstance(x, Parameter):
        return x.node()
    return Node(x if isinstance(x, (int, float)) else as_array(x, where="Node"), scope=this_thread.tape.scope)


# -------------------------------------------------------------------- a composite module, called on arrays


def forward_recorded(module: Module, inputs: tuple[mx.array, ...]) -> Any:
    """Run a module that only composes others on arrays, keeping the recorded calls in its ``saved`` slot."""
    module._saved = EMPTY  # free what the last forward kept
    tape = this_thread.tape
    if not tape.on:
        return _unrecorded(module, inputs, tape)
    nodes = tuple(map(Node, inputs))
    before, tape.calls = tape.calls, []
    try:
        output = flattened(module, nodes, tape)
    finally:
        calls, tape.calls = tape.calls, before
    outputs, results = output if isinstance(output, tuple) else (output,), _values(module, output)
    first = nodes[0].index if nodes else 0
    for node in calls:
        for source in node.inputs:
            if source.index < first:  # kept from before this call: look behind it, too
                calls = ancestors(outputs)
        if not isinstance(node.value, tuple):
            node.value = None  # the layers have saved what they need
    for node, value in zip(outputs, results):
        node.value = value
    module._saved = (calls, nodes, output)  # in order, so that a deep copy meets every node after its inputs
    return tuple(results) if isinstance(output, tuple) else results[0]


def _unrecorded(module: Module, inputs: tuple[mx.array, ...], tape: Tape) -> Any:
    """The forward under no_grad: on the arrays themselves, unless an expression needs a parameter to be a node."""
    if not module._uses_parameters:
        try:
            output = module.forward(*inputs)
            module._saved = EMPTY
            return output
        except CannotRecord:
            raise
        except (TypeError, AttributeError, ValueError) as error:
            if isinstance(error, ValueError) and "Parameter" not in str(error):
                raise
            output = flattened(module, tuple(map(Node, inputs)), tape)  # works, or says what is wrong
            module._uses_parameters = True
    else:
        output = flattened(module, tuple(map(Node, inputs)), tape)
    results = _values(module, output)
    return tuple(results) if isinstance(output, tuple) else results[0]


def _values(module: Module, output: Any) -> list[Any]:
    """The values of the nodes that a forward returned."""
    results = []
    for node in output if isinstance(output, tuple) else (output,):
        if not isinstance(node, Node):
            raise CannotRecord(
                f"{module.title()}: forward returned {type(output).__name__}, so its calls could not be recorded; "
                "compose layers and Node operations only, or write a backward"
            )
        if node.value is None:
            raise RuntimeError(
                f"{module.title()}: forward used a node without a value, perhaps one that it kept from an earlier "
                "call; keep node.value instead"
            )
        results.append(node.value)
    return results


def backward_through(module: Module, grad_output: Any) -> Any:
    """The backward of a module that only composes others: the recorded calls, last to first."""
    calls, inputs, output = module.saved
    outputs, grads = (output, grad_output) if isinstance(output, tuple) else ([output], [grad_output])
    for node in inputs:
        node.grad = None
    backward(outputs, grads, calls, keep=False)
    found = tuple(map(grad_or_zero, inputs))
    return found[0] if len(found) == 1 else found
