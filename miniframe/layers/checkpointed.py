"""Computing again instead of keeping: a layer that trades time for memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.arrays import as_tuple
from ..core.cells import EMPTY, put_values, values_of
from ..core.module import Module
from ..core.node import Node
from ..core.tape import no_grad, this_thread
from .later import after, after_weights


class Checkpointed(Module):
    """y = layer(x), of which forward keeps x alone. Backward runs the forward again, then the layer's own backward.

        y = f(x)        dx = f'(dy), from what f(x) keeps when it is computed a second time

    Chen et al. 2016. A deep model in pieces of some layers each, every piece checkpointed, keeps what goes into the
    pieces and, for a moment, what one piece needs; its step takes the time of one more forward. The second forward is
    the first one again: Dropout draws the same mask, and BatchNorm's running statistics have moved only once.

    Parameters have the names that they have in the layer, so weights go into the same model without it, and back.
    Whoever looks inside (trace, summary, files for other programs) sees the layer itself; so does a model that is
    called on Variables, one by one: memory is saved where it is called on arrays, as in ``fit``.

    Args:
        layer: any module; a Sequential of several layers saves more than one layer does.

    Shapes: those of the layer.

    >>> from miniframe import Linear, Sequential, Tanh
    >>> layer = Checkpointed(Sequential(Linear(2, 3), Tanh()))
    >>> x = mx.ones((4, 2))
    >>> dx = layer.backward(layer(x))
    >>> mx.array_equal(dx, layer.layer.backward(layer.layer(x))).item(), [name for name, _ in layer.named_parameters()]
    (True, ['0.weight', '0.bias'])
    """

    samples_apart = True  # if its layer is

    def __init__(self, layer: Module) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"checkpointed: expected a layer, got {layer!r}")
        self.layer = layer

    def settings(self) -> str:
        return self.layer.title()

    @property
    def output_count(self) -> int | None:  # type: ignore[override]
        return self.layer.output_count

    def __call__(self, *inputs: Any) -> Any:
        nodes = [x for x in inputs if isinstance(x, Node)]
        looked_into = nodes and this_thread.tape.calls is None and all(x.value is not None for x in nodes)
        return self.layer(*inputs) if looked_into else super().__call__(*inputs)

    def forward(self, *inputs: mx.array) -> Any:
        moment = Moment(self.layer)
        with no_grad():
            output = self.layer(*inputs)
        self.saved = inputs, moment
        return output

    def backward(self, grad_output: Any) -> Any:
        inputs, moment = self.saved
        moment.again(inputs, [grad for grad in as_tuple(grad_output) if grad is not None])
        grad_input = self.layer.backward(grad_output)
        for module in self.layer.modules():
            module.saved = EMPTY
        return after_weights(grad_input, self.layer.parameters())  # when nothing is needed any more

    def _collect(self, path: str, found: dict[int, tuple[str, Any]]) -> None:
        """What is inside has the names that it has in the layer."""
        found.setdefault(id(self), (path, self))
        self.layer._collect(path, found)


class Moment:
    """What a layer's forward depends on besides its inputs and weights: buffers, modes, and the random state."""

    def __init__(self, layer: Module) -> None:
        self.layer, self.key = layer, random.key_of_draws()
        self.buffers = values_of(layer.buffers())
        self.modes = [module.training for module in layer.modules()]

    def again(self, inputs: Sequence[mx.array], reason: Sequence[mx.array]) -> None:
        """Run the forward as it was run at this moment, once ``reason`` is computed; all else stays as it is now."""
        now, stream = Moment(self.layer), random.get_key()
        key, *inputs = after([self.key, *inputs], reason)
        try:
            self.restore()
            with random.repeated(key):
                self.layer(*inputs)
        finally:
            now.restore()
        if random.get_key() is not stream:
            raise RuntimeError(
                f"{self.layer.title()}: checkpointed needs the same random numbers twice; draw them with a key from "
                "miniframe.random, such as mx.random.normal(shape, key=miniframe.random.next_key())"
            )

    def restore(self) -> None:
        """Buffers and modes as they were at this moment."""
        put_values(self.layer.buffers(), self.buffers)
        for module, training in zip(self.layer.modules(), self.modes):
            module.training = training


def checkpointed(layer: Module) -> Checkpointed:
    """The layer, computing again in backward what it would otherwise keep from forward: see :class:`Checkpointed`.

    >>> from miniframe import Linear
    >>> checkpointed(Linear(2, 3))
    Checkpointed(
      (layer) Linear(2 -> 3)
    )
    """
    return Checkpointed(layer)
