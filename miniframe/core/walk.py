"""The walk from outputs back to inputs: the chain rule over a flat list of layer calls, read from the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from .arrays import as_array, as_tuple, is_floating

if TYPE_CHECKING:
    from .node import Node


def ancestors(outputs: Iterable[Node], stop: Collection[Node] = ()) -> list[Node]:
    """Every node that the outputs depend on, themselves included, in the order in which they were made.

    Args:
        stop: nodes to take as given, without looking at what they depend on.
    """
    given = {node.index for node in stop}
    found: dict[float, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            if node.index not in given:
                waiting.extend(node.inputs)
    return [found[index] for index in sorted(found)]


def backward(
    outputs: Sequence[Node],
    grads: Sequence[Any],
    nodes: Sequence[Node] | None = None,
    stop: Collection[Node] = (),
    keep: bool = True,
) -> None:
    """Send ``grads`` back from ``outputs``: the first consumer of a value writes its gradient, later ones add.

    Args:
        nodes: what the outputs depend on, in order, where that is known already.
        stop: nodes behind which the walk does not go.
        keep: whether the nodes keep their gradients once these have been passed on.
    """
    for node in reversed(_begun(outputs, grads, nodes, stop)):
        module, grad = node.module, node.grad
        if grad is None or module is None:
            continue
        if isinstance(grad, tuple):
            passed = input_grads(node)
        else:  # the same written out, because this happens for every layer in every step that is not compiled
            module._saved = node.saved
            passed = module.backward(grad)
        if not keep:
            node.grad = None
        if isinstance(passed, tuple):
            if len(passed) != len(node.inputs):
                raise no_gradient(module, passed, len(node.inputs))
            for source, grad in zip(node.inputs, passed):
                add_grad(source, grad)
        else:
            source = node.inputs[0]
            if type(passed) is not mx.array and (passed is not None or _needs_gradient(source)):
                raise no_gradient(module, passed, len(node.inputs))
            if source.grad is None and source.module is not None:
                source.grad = passed
            else:
                add_grad(source, passed)


def _needs_gradient(node: Node) -> bool:
    """Whether a value that learned parameters or an input of real numbers lead to waits for its gradient."""
    return type(node.value) is mx.array and is_floating(node.value)


def backward_order(
    outputs: Sequence[Node], grads: Sequence[Any], nodes: Sequence[Node] | None = None, stop: Collection[Node] = ()
) -> Iterator[Node]:
    """The calls from last to first, each given out when its gradient is complete; the outputs start with ``grads``."""
    nodes = _begun(outputs, grads, nodes, stop)
    return (node for node in reversed(nodes) if node.grad is not None and node.module is not None)


def _begun(
    outputs: Sequence[Node], grads: Sequence[Any], nodes: Sequence[Node] | None, stop: Collection[Node]
) -> Sequence[Node]:
    """The nodes to go through, in order, without gradients but for the outputs, which have theirs."""
    if not isinstance(grads, (tuple, list)) or len(outputs) != len(grads):
        got = len(grads) if isinstance(grads, (tuple, list)) else type(grads).__name__
        raise ValueError(f"backward: expected a tuple of {len(outputs)} gradients, one for each output, got {got}")
    nodes = ancestors(outputs, stop) if nodes is None else nodes
    for node in nodes:
        node.grad = None
    for node, grad in zip(outputs, grads):
        grad = grad if type(grad) is mx.array else as_array(grad, where="backward")
        if grad.shape != node.value.shape:
            raise ValueError(f"{node!r}: expected a gradient of shape {node.value.shape}, got {grad.shape}")
        add_grad(node, grad)
    if not stop:
        return nodes
    given = {node.index for node in stop}
    return [node for node in nodes if node.index not in given]


def input_grads(node: Node) -> tuple[Any, ...]:
    """Run one node's backward on its own saved slot; one gradient for each input."""
    assert node.module is not None
    if isinstance(node.grad, tuple):  # outputs that nobody used have a gradient of zero
        node.grad = tuple(mx.zeros_like(v) if g is None else g for v, g in zip(node.value, node.grad))
    node.module.saved = node.saved
    grads = node.module.backward(node.grad)
    return as_tuple(grads)


def no_gradient(layer: Any, got: Any, count: int = 1) -> TypeError:
    """The error for a backward that returned what cannot be the gradients of ``count`` inputs."""
    expected = "an mx.array" if count == 1 else f"a tuple of {count} gradients, one for each input"
    kind = f"a tuple of {len(got)}" if isinstance(got, tuple) else f"{type(got).__module__}.{type(got).__name__}"
    got = "None; a return is missing?" if got is None else kind.removeprefix("builtins.")
    return TypeError(f"{layer.title()}: expected {expected} from backward, got {got}")


def add_grad(node: Node, grad: Any) -> None:
    """Write or add a gradient that reached a node; numbers need none, and None means that there is none."""
    if grad is None or isinstance(node.value, (int, float)):
        return
    if node.grad is None:
        node.grad = grad
    elif isinstance(grad, tuple):
        node.grad = tuple(a if b is None else b if a is None else a + b for a, b in zip(node.grad, grad))
    else:
        node.grad = node.grad + grad


def grad_or_zero(node: Node) -> mx.array:
    """The gradient that arrived at a node, or zeros where none did."""
    return node.grad if node.grad is not None else mx.zeros_like(node.value)
