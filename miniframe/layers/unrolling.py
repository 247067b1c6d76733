"""Backpropagation through time: what RNN, GRU and LSTM share, which is everything but the formula of a single step.

A recurrent layer is one small network, used again at every step with what it remembers, its state. Unrolled, it is as
deep as the sequence is long. Forward goes through the steps in order; backward goes through them from the end, with
one gradient for the state, and adds up what each step says about the weights, because all steps share them.
"""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.arrays import as_tuple, is_floating
from ..core.cells import Parameter
from ..core.module import Module
from ..core.sums import products, total
from . import initializers
from .masks import is_mask
from .memory import current

States = tuple[Any, ...]  # what is remembered, (h,) or (h, c), or its gradients, of which one may be the number 0


class Recurrent(Module):
    """Several recurrent layers on top of each other, each reading the sequence in one direction or in both.

    A subclass says with ``gates`` how many blocks its weights have, with ``states`` how many arrays it remembers, and
    writes one step and, below it, its derivative.

        a = W_ih x_t + b_ih        u = W_hh h_(t-1) + b_hh        step(a, u, state before) -> state after

    Weights have PyTorch's names: ``weight_ih_l0`` (gates H, C), ``weight_hh_l0`` (gates H, H), ``bias_ih_l0`` and
    ``bias_hh_l0`` (gates H,); l1, l2, ... for the layers above, whose C is the width of the layer below, and
    ``_reverse`` behind the name for the second direction. All start from U(-1/√H, 1/√H), as PyTorch's do.

    Where a mask says that a step is padding, the state stays as it is, the output is 0, and no gradient goes to the
    input: h_t = h_(t-1), so dh_(t-1) = dh_t. The second direction waits in the same way until its text begins.
    """

    gates = 1
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        bidirectional: bool = False,
        dropout: float = 0.0,
        return_sequences: bool = True,
        return_state: bool = False,
    ) -> None:
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(
                f"{type(self).__name__}: expected positive sizes, "
                f"got input_size={input_size}, hidden_size={hidden_size}, num_layers={num_layers}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"{type(self).__name__}: expected a probability 0 <= dropout < 1, got {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout = dropout
        self.biased, self.directions = bias, 2 if bidirectional else 1
        self.return_sequences, self.return_state = return_sequences, return_state
        self.output_count = 1 + self.states if return_state else None
        bound = 1 / math.sqrt(hidden_size)
        for name, shape in self.weight_shapes().items():
            setattr(self, name, Parameter(initializers.uniform(shape, bound)))

    def settings(self) -> str:
        parts = [f"{self.input_size} -> {self.hidden_size}"]
        parts += [f"{self.num_layers} layers"] if self.num_layers > 1 else []
        parts += ["both directions"] if self.directions == 2 else []
        parts += [] if self.biased else ["no bias"]
        parts += [f"dropout={self.dropout:g}"] if self.dropout else []
        parts += [] if self.return_sequences else ["last output"]
        return ", ".join(parts + (["with state"] if self.return_state else []))

    def __call__(self, *inputs: Any, mask: Any = None) -> Any:
        if mask is not None and not is_mask(mask):
            hint = "use mask.astype(mx.bool_), where True means that a step is no padding"
            raise TypeError(f"{self.title()}: expected a mask of bools, got {getattr(mask, 'dtype', mask)}; {hint}")
        return super().__call__(*inputs, *([] if mask is None else [mask]))

    # ---------------------------------------------------------------- one step, which a subclass writes

    def step(self, a: mx.array, u: mx.array, before: States) -> tuple[States, Any]:
        """(the state after the step, what ``step_backward`` needs)."""
        raise NotImplementedError

    def step_backward(self, grads: States, kept: Any) -> tuple[mx.array, mx.array, States]:
        """From the gradients of the state after: da, du, and what reaches the state before other than through u."""
        raise NotImplementedError

    # ---------------------------------------------------------------- one layer in one direction: all steps

    def unroll(self, x: mx.array, track: int, state: States, real: Any) -> tuple[mx.array, States, Any]:
        """(T, N, C) -> h of all steps (T, N, H), the last state, and what ``unroll_backward`` needs.

        ``real``, (N, 1) for each step, is True where it is no padding; None if all are real.
        """
        w_ih, w_hh, b_ih, b_hh = (None if p is None else p.value for p in self.weights(track))
        steps = x.shape[0]
        a = mx.unstack(product(x, w_ih, b_ih))  # for all steps at once: none of it depends on the state
        befores: list[Any] = [None] * steps
        kept, hidden = befores[:], befores[:]
        for t in self.order(track, steps):
            befores[t] = state[0]
            after, kept[t] = self.step(a[t], product(state[0], w_hh, b_hh), state)
            state = after if real is None else tuple(mx.where(real[t], new, old) for new, old in zip(after, state))
            hidden[t] = state[0] if real is None else mx.where(real[t], state[0], 0)
        return mx.unflatten(mx.concatenate(hidden), 0, (steps, -1)), state, (x, befores, kept, real)

    def unroll_backward(self, grad: Any, grads: States, track: int, saved: Any) -> tuple[mx.array, States]:
        """From dh of all steps (None for zeros) and the gradients of the last state: dx and those of the first."""
        x, befores, kept, real = saved
        w_ih, w_hh, b_ih, b_hh = self.weights(track)
        steps = len(kept)
        of_outputs = [0] * steps if grad is None else mx.unstack(grad)
        das: list[Any] = [None] * steps
        dus = das[:]
        for t in reversed(self.order(track, steps)):  # a state is used by its own output and by the next step
            after, waiting = (grads[0] + of_outputs[t], *grads[1:]), None
            if real is not None:  # the step gets what belongs to real steps, the state before gets the rest as it is
                after, waiting = only(real[t], after), only(~real[t], grads)
            das[t], dus[t], (direct, *others) = self.step_backward(after, kept[t])
            grads = direct + dus[t] @ w_hh.value, *others
            if waiting is not None:
                grads = tuple(g + w for g, w in zip(grads, waiting))
        da, du, before = mx.concatenate(das), mx.concatenate(dus), mx.concatenate(befores)

        # to the parameters: dW = Σ daᵀ x and Σ duᵀ h, db = Σ da and Σ du, over all steps and samples
        for weight, bias, d, seen in ((w_ih, b_ih, da, x.flatten(0, 1)), (w_hh, b_hh, du, before)):
            weight.accumulate(products(d, seen))
            if bias is not None:
                bias.accumulate(total(d, axis=0))

        # to the input: dx = da W
        return mx.unflatten(da @ w_ih.value, 0, (steps, -1)), grads

    # ---------------------------------------------------------------- all layers and directions

    def forward(self, x: mx.array, *given: mx.array) -> Any:
        masked = bool(given) and is_mask(given[-1])
        initial = given[:-1] if masked else given
        memories = None if initial else current()  # of a text that goes on where the call before has ended
        begin = initial if memories is None else memories.state(self)
        self.check(x, begin)
        sequence, ends, saved = x.swapaxes(0, 1), [], []  # time in front, so that a step is a stretch of memory
        real, dropped = None, []
        if masked:
            mask = self.checked_mask(given[-1], x).T[..., None]
            sequence, real = mx.where(mask, sequence, 0), mx.unstack(mask)  # whatever stands there
        zeros = (mx.zeros((x.shape[0], self.hidden_size), dtype=x.dtype),) * self.states
        for layer in range(self.num_layers):
            outputs = []
            for track in self.tracks(layer):
                start = tuple(state[:, track] for state in begin) or zeros
                h, end, needed = self.unroll(sequence, track, start, real)
                outputs.append(h)
                ends.append(end)
                saved.append(needed)
            sequence = mx.concatenate(outputs, axis=-1)
            if self.training and self.dropout > 0 and layer + 1 < self.num_layers:
                keep = mx.random.bernoulli(1 - self.dropout, sequence.shape, key=random.next_key()).astype(x.dtype)
                dropped.append(keep / (1 - self.dropout))
                sequence = sequence * dropped[-1]
        if memories is not None:
            memories.leave(self, side_by_side(ends), x.shape[1])
        self.saved = saved, dropped, bool(initial), masked
        last = mx.concatenate([end[0] for end in ends[-self.directions :]], axis=-1)
        output = sequence.swapaxes(0, 1) if self.return_sequences else last
        return (output, *side_by_side(ends)) if self.return_state else output

    def backward(self, grad_output: Any) -> Any:
        saved, dropped, started, masked = self.saved
        grad, *of_states = as_tuple(grad_output)
        tracks = self.num_layers * self.directions
        grads = [tuple(g[:, k] for g in of_states) or (0,) * self.states for k in range(tracks)]
        sequence: Any = grad.swapaxes(0, 1) if self.return_sequences else None
        if not self.return_sequences:  # the output was the last layer's last h
            for track, part in zip(self.tracks(self.num_layers - 1), mx.split(grad, self.directions, axis=-1)):
                grads[track] = grads[track][0] + part, *grads[track][1:]
        for layer in reversed(range(self.num_layers)):
            if dropped and layer + 1 < self.num_layers:
                sequence = sequence * dropped[layer]
            parts: Any = [None] * self.directions if sequence is None else mx.split(sequence, self.directions, axis=-1)
            sequence = None
            for track, part in zip(self.tracks(layer), parts):
                share, grads[track] = self.unroll_backward(part, grads[track], track, saved[track])
                sequence = share if sequence is None else sequence + share
        dx = sequence.swapaxes(0, 1)
        of_given = [*(side_by_side(grads) if started else []), *([None] if masked else [])]
        return (dx, *of_given) if of_given else dx

    # ---------------------------------------------------------------- names, shapes, checks

    def draws_nothing(self) -> bool:
        """Whether a batch in parts gives the same: it does if no random numbers are drawn, for dropout."""
        return self.dropout == 0 or self.num_layers == 1

    def tracks(self, layer: int) -> range:
        """The numbers of a layer's directions among all: that is the order of the states, too."""
        return range(layer * self.directions, (layer + 1) * self.directions)

    def reads_backwards(self, track: int) -> bool:
        return track % self.directions == 1

    def order(self, track: int, steps: int) -> range:
        """The steps in the order in which this direction reads them."""
        return range(steps)[::-1] if self.reads_backwards(track) else range(steps)

    def weights(self, track: int) -> list[Any]:
        """W_ih, W_hh, b_ih and b_hh of one layer in one direction; None for a bias that is not there."""
        return [getattr(self, f"{kind}_{self.suffix(track)}", None) for kind in KINDS]

    def suffix(self, track: int) -> str:
        return f"l{track // self.directions}" + ("_reverse" if self.reads_backwards(track) else "")

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all weights by name, from the settings."""
        found: dict[str, tuple[int, ...]] = {}
        rows, width = self.gates * self.hidden_size, self.hidden_size * self.directions
        for track in range(self.num_layers * self.directions):
            columns = self.input_size if track < self.directions else width
            shapes = (rows, columns), (rows, self.hidden_size), (rows,), (rows,)
            for kind, shape in zip(KINDS if self.biased else KINDS[:2], shapes):
                found[f"{kind}_{self.suffix(track)}"] = shape
        return found

    def check(self, x: mx.array, initial: tuple[mx.array, ...]) -> None:
        expected = f"input (batch, time, {self.input_size})"
        if x.ndim != 3 or x.shape[2] != self.input_size:
            swapped = x.ndim == 3 and x.shape[1] == self.input_size
            hint = "a single sequence needs a batch axis: x[None]" if x.ndim == 2 else ""
            raise self.wrong(expected, x, "features come last: x.swapaxes(1, 2)" if swapped else hint)
        if x.shape[1] < 1:
            raise self.wrong(f"{expected} with at least one step", x)
        if not is_floating(x):
            raise TypeError(f"{self.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")
        names = ("h", "c")[: self.states]
        shape = x.shape[0], self.num_layers * self.directions, self.hidden_size
        if initial and [state.shape for state in initial] != [shape] * self.states:
            got = ", ".join(str(state.shape) for state in initial)
            each = " and ".join(f"{name} {shape}" for name in names)
            raise ValueError(f"{self.title()}: expected, as the state to begin with, {each}, got {got}")

    def checked_mask(self, mask: mx.array, x: mx.array) -> mx.array:
        if mask.shape != x.shape[:2]:
            raise self.wrong(f"a mask {x.shape[:2]}, True where a step is no padding", mask)
        return mask

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        matrices = sum(math.prod(shape) for name, shape in self.weight_shapes().items() if name.startswith("weight"))
        return math.prod(input_shape[:2]) * matrices


KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def only(where: mx.array, grads: States) -> States:
    """The gradients where this holds, and 0 elsewhere."""
    return tuple(g if isinstance(g, int) else mx.where(where, g, 0) for g in grads)


def side_by_side(states: list[States]) -> list[mx.array]:
    """The states of all tracks as one array each, (N, L D, H)."""
    return [mx.stack(list(kind), axis=1) for kind in zip(*states)]


def product(x: mx.array, weight: Any, bias: Any) -> mx.array:
    """x Wᵀ + b, without b if there is none."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)
