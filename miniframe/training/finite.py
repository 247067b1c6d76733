"""Noticing a NaN or an infinity soon, at no cost, and finding out where it came from.

fit does not wait for the loss of every batch. It looks at them now and then, and remembers the cells and batches since
the last look; arrays never change, so remembering is free. If a loss was not finite, the steps since then are
repeated up to the bad batch, which is then run layer by layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx

from ..backend.distributed import team
from ..core import random
from ..core.arrays import as_tuple, number
from ..core.cells import put_values, values_of
from ..core.finite import all_finite
from ..core.module import Module
from ..data.batch import Batch, batch_bytes
from ..graph.passes import Pass
from ..losses.base import Loss
from .step import Step


class NonFiniteError(FloatingPointError):
    """The loss or a weight became NaN or infinite; the message names the epoch, the batch and the first layer.

    The model is left as it was before the batch that did it.
    """


class Watch:
    """Looks at the losses since the last look, and explains the first that is not finite.

    Args:
        step: the training step whose cells are to be remembered.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self._values: list[mx.array] = []  # of the cells before the first of the remembered batches
        self._key: mx.array | None = None
        self._iterations = 0
        self._done: list[tuple[int, int, Batch, mx.array]] = []
        self.nbytes = 0  # of the remembered batches

    def note(self, epoch: int, place: int, batch: Batch, loss: mx.array) -> None:
        """A batch was started; a step in place has done it, and looked at its numbers."""
        if self.step.in_place is not None and not self.step.failed:
            return
        if not self._done:
            self._begin_with_last_step()
        self._done.append((epoch, place, batch, loss))
        self.nbytes += batch_bytes(batch)
        if self.step.failed:
            self.look()
            self._explain(0, "a weight became NaN or infinite")

    def look(self) -> None:
        """Wait for the batches so far; raise NonFiniteError if a loss was not finite."""
        if self._done:
            mx.eval(self._done[-1][3])  # wait once, for the last, instead of once for each
            mx.synchronize()  # here MLX raises what failed while nobody waited
        for index, (_, _, _, loss) in enumerate(self._done):
            if not math.isfinite(number(loss)):
                self._explain(index, f"loss became {number(loss)}")
        if self._done:  # the last batch stays remembered: its step may have broken the weights that the next one uses
            self._begin_with_last_step()
            self._done = self._done[-1:]
            self.nbytes = batch_bytes(self._done[0][2])

    def _begin_with_last_step(self) -> None:
        self._values, self._key = self.step.before
        self._iterations = self.step.optimizer.iterations - 1

    def settle(self) -> None:
        """Look at everything so far, and remember no more of it: the next step is another function."""
        self.look()
        self.look_at_weights()
        self._done, self.nbytes = [], 0

    def look_at_weights(self) -> None:
        """Raise NonFiniteError if the last step made a weight NaN or infinite."""
        if self._done and not self._weights_finite():
            self._explain(len(self._done) - 1, "a weight became NaN or infinite")

    def recover(self, error: BaseException) -> None:
        """After a failure, leave the weights of the last good step, computed.

        MLX computes later than it is asked to, so an error of its own may belong to an earlier step. Then the
        remembered steps are repeated, one at a time, up to the one that fails.
        """
        values, iterations = values_of(self.step.cells), self.step.optimizer.iterations
        if team().size > 1 and self._done and not _computed(values):  # a step cannot be repeated without the others
            values, iterations = self._values, self._iterations
        elif (not _computed(values) or from_mlx(error)) and self._done and team().size == 1:
            batches, self._done = self._done, []
            self._rewind(0)
            for _, _, batch, _ in batches:
                values, iterations = values_of(self.step.cells), self.step.optimizer.iterations
                try:
                    with self.step.as_it_is():
                        self.step(*batch)
                except Exception:
                    break
                if not _computed(values_of(self.step.cells)):
                    break
            else:
                return
        put_values(self.step.cells, values)
        self.step.optimizer.iterations = iterations

    def _weights_finite(self) -> bool:
        return all_finite(values_of(self.step.cells))

    def _rewind(self, batches: int) -> None:
        """Bring model and optimizer to where they were after this many of the remembered batches."""
        put_values(self.step.cells, self._values)
        self.step.optimizer.iterations = self._iterations
        if self._key is not None:
            random.set_state(random.as_state(self._key))
        with self.step.as_it_is():
            for _, _, batch, _ in self._done[:batches]:
                self.step(*batch)

    def _explain(self, index: int, what: str) -> None:
        self._rewind(index)
        while index and not self._weights_finite():  # the damage was done by an earlier step
            index -= 1
            self._rewind(index)
        state = random.get_state()
        epoch, place, batch, _ = self._done[index]
        cause, in_data = first_not_finite(self.step.model, self.step.loss, batch)
        random.set_state(state)
        remedy = "; try a smaller learning rate" if self._iterations + index and not in_data else ""
        raise NonFiniteError(
            f"fit: {what} in epoch {epoch + 1}, batch {place + 1}: {cause}. The model is left as before it{remedy}"
        )


def from_mlx(error: BaseException) -> bool:
    """Whether MLX raised it, while it computed, perhaps for an earlier batch than the present one."""
    return isinstance(error, MemoryError) or (type(error) is RuntimeError and str(error).startswith("["))


def _computed(values: list[mx.array]) -> bool:
    """Wait for arrays; whether all went well."""
    try:
        mx.eval(values)
        mx.synchronize()
        return True
    except (RuntimeError, MemoryError):
        return False


def first_not_finite(model: Module, loss: Loss, batch: Batch) -> tuple[str, bool]:
    """Run a batch layer by layer, forward and backward; what was the first not to be finite, and if the data did it."""
    x, *rest = batch
    if not all_finite([*as_tuple(x), *rest]):
        return "the batch itself contains NaN or infinite values", True
    model.zero_grad()
    try:
        seen = Pass(model, x, "fit")
    except (ValueError, IndexError) as error:  # a number that no layer could look at in the compiled step
        return str(error), True
    for name, node in seen.calls.items():
        if not all_finite(as_tuple(node.value)):
            return f"the output of {_called(seen, name)} was the first not to be finite", False
    try:
        loss.check_values(seen.output, rest[0])
    except ValueError as error:
        return str(error), True
    value = loss(seen.output, *rest)
    if not all_finite([value]):
        return f"every layer's output was finite, but not {loss.title()}", False
    gradient = loss.gradient()
    if not all_finite(as_tuple(gradient)):
        return f"the loss was finite, but not the gradient of {loss.title()}", False
    for step in seen.backward(gradient):
        if not all_finite([*_flat(step.grad_inputs), *step.parameter_grads.values()]):
            return f"the gradient from {_called(seen, step.name)} was the first not to be finite", False
    return "every output and gradient of that batch was finite; the optimizer's step overflowed", False


def _called(seen: Pass, name: str) -> str:
    """A call as part of a sentence: with a comma behind what stands in apposition."""
    title = seen.title(name)
    return f"{title}," if title.startswith("layer ") else title


def _flat(grads: Sequence[Any]) -> Iterator[Any]:
    """The arrays among gradients; those of several outputs come as a tuple."""
    for grad in grads:
        yield from _flat(grad) if isinstance(grad, tuple) else (grad,)
