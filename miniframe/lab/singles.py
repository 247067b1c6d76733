"""One sample among many, one weight among many, and the proof that all gradients are right."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..checking import check_gradients
from ..checking.doubles import double, in_double_precision
from ..core.arrays import as_tuple, is_floating, number
from ..core.cells import Parameter
from ..core.untouched import untouched
from ..insight.jacobian import per_sample_gradients
from ..insight.trace import trace
from ..optimizers import Optimizer
from . import museum
from .closeup import place
from .pictures import Frame, View

SAMPLES = 256  # that a look at single gradients, or at the loss along a weight, takes
ALONG = 41  # points on the curve of the loss along a weight
STEP = 1e-4  # to both sides, of the finite difference


def find(view: View, name: str) -> Parameter:
    """A parameter by its path.

    Raises:
        ValueError: with the known ones.
    """
    named = dict(view.model.named_parameters())
    if name not in named:
        raise ValueError(f"there is no parameter {name!r}; there are {', '.join(named)}")
    return named[name]


def some(view: View, first: int | None = None) -> list[int]:
    """The samples that a look at single gradients takes: the first ones, and the one in question in front."""
    rows = list(range(min(SAMPLES, len(view.x))))
    return rows if first is None else [first, *(i for i in rows if i != first)][:SAMPLES]


def sample(view: View, index: int) -> Frame:
    """A sample's own gradient, layer by layer: its norm, and its angle to that of the batch."""
    (index,) = place([index], (len(view.x),), "the training data")
    rows = mx.array(some(view, index))
    grads = per_sample_gradients(view.model, view.loss, view.x[rows], view.y[rows])
    layers, own, whole = [], [], []
    for name, grad in grads.items():
        flat = np.array(grad.astype(mx.float32), dtype=np.float64).reshape(len(grad), -1)
        layers.append({"name": name, **_angle(flat[0], flat.mean(axis=0))})
        own.append(flat[0])
        whole.append(flat.mean(axis=0))
    together = _angle(np.concatenate(own), np.concatenate(whole)) if own else {}
    return {"kind": "sample", "index": index, "of": len(rows), "layers": layers, "together": together}, {}


def _angle(one: np.ndarray, mean: np.ndarray) -> dict[str, float | None]:
    """Norms, and the angle between the two in degrees; None where one of them is 0."""
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(mean))
    cosine = float(one @ mean) / (lengths[0] * lengths[1]) if min(lengths) > 0 else None
    degrees = None if cosine is None else float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return {"norm": lengths[0], "batch": lengths[1], "degrees": degrees}


def weight(view: View, name: str, index: Any) -> Frame:
    """The loss along one weight, its gradient by hand, the finite difference, and the samples that pull hardest."""
    parameter = find(view, name)
    where = place(index, parameter.shape, name)
    rows = mx.array(some(view))
    with untouched(view.model, view.loss):
        view.model.eval()
        pulls = per_sample_gradients(view.model, view.loss, view.x[rows], view.y[rows])[name]
    with in_double_precision(view.model, view.loss):
        view.model.eval()
        x, y = double(view.x[rows]), double(view.y[rows])
        old = np.array(parameter.value)
        at = float(old[where])
        width = max(1.0, 2 * abs(at))
        places = np.linspace(at - width, at + width, ALONG)

        def loss_at(value: float) -> float:
            parameter.value = replaced(old, where, value)
            return number(view.loss(view.model(x), y))

        losses = [loss_at(place) for place in places.tolist()]
        secant = (loss_at(at + STEP) - loss_at(at - STEP)) / (2 * STEP)
        value = loss_at(at)
        view.model.zero_grad()
        view.model.backward(view.loss.gradient())
        by_hand = 0.0 if parameter.grad is None else number(parameter.grad[where])
    each = np.array(pulls[(slice(None), *where)].astype(mx.float32), dtype=np.float64)
    hardest = [{"index": int(i), "pull": float(each[i])} for i in np.argsort(-abs(each))[:8]]
    header = {"kind": "weight", "name": name, "index": list(where), "at": at, "loss": value, "of": len(each)}
    header |= {"gradient": by_hand, "difference": secant, "pulls": hardest}
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite on the page
        return header, {"places": places.astype(np.float32), "losses": np.array(losses, np.float32)}


def replaced(values: np.ndarray, where: tuple[int, ...], number: float) -> mx.array:
    """The array with another number in one place."""
    new = values.copy()
    new[where] = number
    return mx.array(new, dtype=getattr(mx, str(new.dtype)))


def proof(view: View, optimizer: Optimizer, places: int | None = None) -> dict[str, Any]:
    """The gradient check of this very model and loss on some of its data; whether a forward changes its input, and
    whether Adam counts its steps.

    Args:
        places: of a text that are enough; None for all.
    """
    x, y = view.batch()
    rows = 4 if x.ndim == 2 and is_floating(x) else 1  # of pictures and texts one takes long enough
    x, y = x[:rows], y[:rows]
    if places is not None:
        x, y = x[:, :places], y[:, :places]
    with untouched(view.model, view.loss):
        view.model.train()
        if x.ndim == 4 and is_floating(x):  # plain areas of a picture are full of ties, where there is no derivative
            x = mx.random.normal(x.shape)
        calls = [(call.name, call.module, call.inputs) for call in trace(view.model, x)]
        changed = museum.mutated_inputs(calls)
        report = check_gradients(view.model, *as_tuple(x), loss=view.loss, target=y)
    words = repr(report)
    for name in changed:
        words += f"\n  layer {name}: forward changes the array that it was given"
    lengths = museum.steps_of(optimizer)
    steady = max(lengths) - min(lengths) < 1e-3
    if not steady:
        words += f"\n  {type(optimizer).__name__}: with the gradient 1 every step has length 1, and these have "
        words += ", ".join(f"{length:.2f}" for length in lengths)
    return {
        "kind": "proof",
        "passed": report.passed and not changed and steady,
        "error": report.max_error,
        "words": words,
        "rows": len(report.rows),
    }
