"""How an answer is judged: a gradient check, and what the classic mistakes look like in the numbers.

A mistake is recognised by comparing the learner's gradient ``a`` with the differences ``b``: a = -b is a sign, a = b/n
a division by the batch size, and so on. None of this needs the right formula. What is not special to one exercise is
left to the diagnosis of check_gradients.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..checking import check_gradients
from ..checking.blame import NO_PATTERN
from ..checking.experiment import random_upstream
from ..checking.report import Row
from ..core.arrays import as_tuple
from ..core.module import Module
from .calls import Array, as_array, call, finite
from .calls import found as found
from .exercise import Namespace, Wrong

Mistake = tuple[Callable[[Array, Array, Array], bool], str]  # (test of (a, b, upstream), hint)

_seed = 0


def use_seed(seed: int) -> None:
    """Draw other data from now on; 0 are those that everybody gets."""
    global _seed
    _seed = seed


def generator(seed: int = 7) -> np.random.Generator:
    """A source of random numbers, the same for the same seed; not the seed of check_gradients' upstream gradient."""
    return np.random.default_rng(seed if _seed == 0 else [_seed, seed])


def normal(*shape: int, seed: int = 7) -> Array:
    """Random float64 numbers."""
    return generator(seed).normal(size=shape)


def same(a: Any, b: Any, tolerance: float = 1e-5) -> bool:
    """Whether two arrays have the same shape and, relative to the largest entry, the same numbers."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool(np.abs(a - b).max(initial=0) <= tolerance * max(np.abs(b).max(initial=0), 1e-9))


def multiple(a: Array, b: Array) -> float | None:
    """The number k with a = k b, or None."""
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)
    k = float(flat_a @ flat_b / max(flat_b @ flat_b, 1e-30))
    return k if abs(k) > 1e-9 and same(a, k * b) else None


def specific_hint(a: Array, b: Array, upstream: Array, mistakes: Sequence[Mistake]) -> str:
    """The hint of the first mistake that is recognised, or nothing."""
    return next((hint for recognised, hint in mistakes if recognised(a, b, upstream)), "")


def judge_layer(
    module: Module,
    *inputs: Array,
    like: Module | Callable[..., Any] | None = None,
    mistakes: Mapping[str, Any] | None = None,
) -> None:
    """Raise Wrong with a hint unless the module's backward is right.

    Args:
        inputs: float64 (checked) or integer (passed on) arrays.
        like: computes what forward should give, on float32 arrays; left out, forward is not looked at.
        mistakes: by row name ("input", "weight", ...), specific mistakes, tried before the general ones.
    """
    arrays = [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in inputs]
    mx.random.seed(0)
    output = module(*arrays)
    if output is None:
        raise Wrong("forward returned None. Restore it from the stub; only backward is asked.")
    if like is not None:
        mx.random.seed(0)
        if not same(np.array(output), np.array(like(*arrays))):
            raise Wrong("forward no longer computes what it should. Restore it from the stub; only backward is asked.")
    upstream = normal(*output.shape, seed=1).astype(np.float32)
    _look_at_shapes(module, [mx.array(x) for x in arrays], upstream)
    _look_at_repetition(module, arrays, upstream)
    report = check_gradients(module, *inputs)
    (weights,) = random_upstream(0, [output.shape])
    for row in sorted(report.rows, key=lambda row: row.name.startswith("input")):
        if not row.passed:
            raise Wrong(_hint(row, weights, (mistakes or {}).get(row.name, ())))


def _hint(row: Row, weights: Array, specific: Sequence[Mistake]) -> str:
    """The exercise's own hint, else that of check_gradients, in whose table all the general mistakes stand."""
    hint = specific_hint(row.by_hand, row.numeric, weights, specific)
    if not hint and row.name.startswith("input") and same(row.by_hand, weights):
        hint = f"The gradient of {row.name} is grad_output itself: the local derivative is missing."
    if not hint and row.diagnosis and not row.diagnosis.startswith(NO_PATTERN):
        hint = f"The gradient of {row.name} is wrong. {row.diagnosis[0].upper()}{row.diagnosis[1:]}."
    at = row.worst
    hint = hint or f"The gradient of {row.name} disagrees with the differences."
    return f"{hint}\nAt {at} your backward says {row.by_hand[at]:.6g}, the differences say {row.numeric[at]:.6g}."


def _run(module: Module, upstream: Array) -> tuple[Any, ...]:
    """The gradients with respect to the inputs; the caller's upstream gradient must stay as it is."""
    given = mx.array(upstream)
    grads = module.backward(given)
    if not np.array_equal(np.array(given), upstream):
        raise Wrong("backward changed grad_output in place (*= or +=?). Others may still need it: make a new array.")
    return as_tuple(grads)


def _look_at_shapes(module: Module, arrays: list[mx.array], upstream: Array) -> None:
    """Everything that can be said without looking at numbers."""
    module.zero_grad()
    module(*arrays)
    grads = _run(module, upstream)
    floating = [x for x in arrays if mx.issubdtype(x.dtype, mx.floating)]
    if not floating and any(grad is not None for grad in grads):
        raise Wrong("backward returned a gradient of whole numbers, which has no meaning: return None.")
    if floating and grads[0] is None:
        raise Wrong("backward returned None: it must return the gradient with respect to the input.")
    if floating and len(grads) != len(arrays):
        raise Wrong(f"backward returned {len(grads)} gradients for {len(arrays)} inputs: return one for each.")
    for x, grad in zip(floating, grads):
        if not isinstance(grad, (mx.array, np.ndarray)):
            raise Wrong(f"backward returned a {type(grad).__name__} where an array is needed, of shape {x.shape}.")
        if tuple(grad.shape) != x.shape:
            raise Wrong(
                f"backward returned a gradient of shape {tuple(grad.shape)} for an input of shape {x.shape}. A "
                "gradient always has the shape of the thing it belongs to."
            )
    for name, parameter in module.named_parameters():
        if parameter.grad is None:
            inner = "." in name
            what = "the backward of the module that holds it" if inner else f"self.{name}.accumulate(...)"
            raise Wrong(f"{name} received no gradient: backward has to call {what}.")


def _look_at_repetition(module: Module, arrays: list[mx.array], upstream: Array) -> None:
    """Backward must not disturb what was saved, and parameters must add up."""
    module.zero_grad()
    mx.random.seed(0)
    module(*arrays)
    given = [np.array(x) for x in arrays]
    first = [None if grad is None else np.array(grad) for grad in _run(module, upstream)]
    once = {name: np.array(parameter.grad) for name, parameter in module.named_parameters()}
    second = [None if grad is None else np.array(grad) for grad in _run(module, upstream)]
    for a, b in zip(first, second):
        if a is not None and b is not None and not np.array_equal(a, b, equal_nan=True):
            raise Wrong(
                "A second backward after the same forward gives another answer: backward changes what forward saved, "
                "or draws new random numbers."
            )
    if not all(np.array_equal(np.array(x), before) for x, before in zip(arrays, given)):
        raise Wrong("backward changed the layer's input in place (x[...] = or *=?). Make a new array.")
    for name, parameter in module.named_parameters():
        if np.any(once[name]) and not same(np.array(parameter.grad), 2 * once[name]):
            raise Wrong(f"A second backward must add to the gradient of {name}; yours replaces it. Use accumulate.")


def judge_gradient(
    names: Namespace,
    name: str,
    function: Callable[..., Any],
    *inputs: Array,
    mistakes: Sequence[Mistake] = (),
) -> None:
    """Raise Wrong unless the function ``name`` gives the gradient of ``function(*inputs)`` in its first input."""
    with mx.stream(mx.cpu):
        x = inputs[0]
        arrays = [mx.array(v, dtype=mx.float64) if v.dtype.kind == "f" else mx.array(v) for v in inputs]
        what = arguments(found(names, name))[0]
        a = as_array(call(names, name, *arrays))
        if a.shape != x.shape:
            raise Wrong(f"A gradient has the shape of what it belongs to: expected {x.shape}, got {a.shape}.")
        finite(a, "The result")
        b, h = np.zeros_like(x), 1e-5
        for index in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[index] = h
            b[index] = (float(function(x + step, *inputs[1:])) - float(function(x - step, *inputs[1:]))) / (2 * h)
    if not same(a, b, 1e-5):
        at = np.unravel_index(int(np.argmax(abs(a - b))), a.shape)
        hint = specific_hint(a, b, np.ones_like(b), mistakes) or _factor(a, b)
        hint = hint or f"The gradient with respect to {what} disagrees with the differences."
        raise Wrong(f"{hint}\nAt {tuple(map(int, at))} you say {a[at]:.6g}, the differences say {b[at]:.6g}.")


def _factor(a: Array, b: Array) -> str:
    """Words for a gradient that is a multiple of the right one."""
    if not np.any(a):
        return "The gradient is zero everywhere."
    k = multiple(a, b)
    return "" if k is None else f"The gradient is {k:.4g} times what it should be, everywhere."


def arguments(function: Any) -> list[str]:
    """The names of a function's arguments."""
    return list(inspect.signature(function).parameters)
