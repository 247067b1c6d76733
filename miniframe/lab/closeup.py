"""Looking closely, on demand: a layer in full, backward step by step, the products behind a number of a gradient."""

from __future__ import annotations

import inspect
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import number
from ..core.node import Node
from ..core.untouched import untouched
from ..core.walk import input_grads
from ..graph.passes import Pass
from ..insight.backward_steps import backward_steps, formula
from ..insight.trace import trace
from ..layers import Linear
from . import museum
from .pictures import COLUMNS, Frame, View

BLOCK = 64  # rows and columns of a matrix that are shown, at most
PRODUCTS = 48  # products that are listed, at most
OUTPUTS = 1024  # output elements that are asked for their derivative, at most


def block(value: Any) -> np.ndarray:
    """The first numbers of an array as a matrix of float32: rows are the first axis."""
    value = value[0] if isinstance(value, tuple) else value
    if not isinstance(value, mx.array) or value.size == 0:
        return np.zeros((0, 0), np.float32)
    flat = np.array(value.astype(mx.float32))
    flat = flat.reshape(1, -1) if flat.ndim < 2 else flat.reshape(len(flat), -1)
    return np.ascontiguousarray(flat[:BLOCK, :COLUMNS])


def source(function: Any) -> str:
    """The source of a method, or that there is none."""
    try:
        return inspect.cleandoc("\n" + inspect.getsource(function))
    except (OSError, TypeError):
        return "(the source is not at hand)"


def place(index: Any, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """An index that a page sent, checked against the shape it points into."""
    whole = isinstance(index, (list, tuple)) and all(isinstance(i, int) and not isinstance(i, bool) for i in index)
    if not whole or len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape)):
        raise ValueError(f"{what} has the shape {shape}, and {index!r} is no place in it")
    return tuple(index)


# ---------------------------------------------------------------- a layer, and backward step by step


def layer(view: View, name: str) -> Frame:
    """One layer call: formula, source, weights, gradients, norms, units that are dead."""
    x, y = view.batch()
    with untouched(view.model, view.loss):
        view.model.train()
        call = trace(view.model, x, view.loss, y)[name]
    module, arrays, parameters = call.module, {}, []
    path = name.split("#")[0]
    for place, (own, parameter) in enumerate(module.named_parameters()):
        grad = call.parameter_grads.get(own)
        arrays[f"parameter.{place}"] = block(parameter.value)
        arrays[f"parameter.{place}.gradient"] = block(grad)
        parameters.append(
            {
                "name": f"{path}.{own}" if dict(view.model.named_parameters()).get(f"{path}.{own}") else own,
                "of": own,
                "shape": list(parameter.shape),
                "norm": _norm(parameter.value),
                "gradient_norm": _norm(grad),
            }
        )
    arrays |= {"value": block(call.output), "gradient": block(call.grad_output), "input": block(call.inputs)}
    arrays["passed"] = block(call.grad_inputs)
    dead = getattr(module, "dead_units", None)
    header: dict[str, Any] = {
        "kind": "layer",
        "name": name,
        "title": module.title(),
        "formula": formula(module),
        "forward": source(type(module).forward),
        "backward": source(type(module).backward),
        "parameters": parameters,
        "shapes": {"input": [list(i.shape) for i in call.inputs if isinstance(i, mx.array)]},
        "dead": None if dead is None else dead(call.output).item(),
        "exhibits": museum.cards(module),
    }
    header["shapes"]["value"] = list(call.output.shape) if isinstance(call.output, mx.array) else []
    return header, arrays


def _norm(value: Any) -> float | None:
    return None if value is None else number(mx.linalg.norm(value.astype(mx.float32).reshape(-1)))


def steps(view: View) -> Frame:
    """Forward, loss and backward of the samples in the strips, one step after the other."""
    x, y = view.batch()
    with untouched(view.model, view.loss):
        view.model.train()
        going_back = list(backward_steps(view.model, view.loss, x, y))
    found: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}

    def add(direction: str, step: Any, code: str, **pictures: Any) -> None:
        place = len(found)
        shapes = {}
        for name, value in pictures.items():
            arrays[f"{place}.{name}"] = block(value)
            first = value[0] if isinstance(value, tuple) else value
            shapes[name] = list(first.shape) if isinstance(first, mx.array) else []
        found.append(
            {
                "direction": direction,
                "name": step.name,
                "title": step.module.title(),
                "formula": step.formula,
                "code": code,
                "shapes": shapes,
            }
        )

    loss, *layers = going_back
    for step in reversed(layers):
        add("forward", step, source(type(step.module).forward), value=step.value)
    add("loss", loss, source(getattr(type(loss.module), "each", None)), value=loss.value)
    for step in going_back:
        grads = {f"d{name}": grad for name, grad in step.parameter_grads.items()}
        add("backward", step, step.code, **{"gradient in": step.grad_output, "gradient out": step.grad_inputs}, **grads)
    return {"kind": "steps", "steps": found, "value": number(loss.value)}, arrays


# ---------------------------------------------------------------- the products behind one number of a gradient


def products(view: View, name: str, of: str, index: Any) -> Frame:
    """The products whose sum is one number of a gradient: dθ = Σₘ dYₘ · ∂Yₘ/∂θ, over the outputs of the layer.

    Args:
        name: of the layer call.
        of: "input", or one of the layer's parameters, such as "weight".
        index: the place of the number.
    """
    x, y = view.batch()
    with untouched(view.model, view.loss):
        view.model.train()
        seen = Pass(view.model, x, "lab")
        view.loss(seen.output, y)
        for step in seen.backward(view.loss.gradient()):
            if step.name == name:
                break
        else:
            raise ValueError(f"no gradient came to a layer {name!r}")
        node, module = step.node, step.node.module
        assert module is not None
        value = step.grad_inputs[0] if of == "input" else step.parameter_grads.get(of)
        if value is None:
            raise ValueError(f"{module.title()} has no gradient of its {of}")
        where = place(index, value.shape, f"the gradient of {of}")
        total = value[where].item()
        rows = _of_linear(node, of, where) if isinstance(module, Linear) else _of_any(node, of, where)
    rows.sort(key=lambda row: -abs(row["product"]))
    listed = rows[:PRODUCTS]
    header: dict[str, Any] = {
        "kind": "products",
        "name": name,
        "of": of,
        "index": list(where),
        "total": total,
        "products": listed,
    }
    header |= {"more": len(rows) - len(listed), "rest": total - sum(row["product"] for row in listed)}
    header["title"], header["formula"] = module.title(), formula(module)
    return header, {}


def _row(first: str, a: float, second: str, b: float) -> dict[str, Any]:
    return {"first": first, "a": a, "second": second, "b": b, "product": a * b}


def _of_linear(node: Node, of: str, where: tuple[int, ...]) -> list[dict[str, Any]]:
    """Of a Linear, in the letters of its formula: dW = dYᵀ X, db = Σ dY, dX = dY W."""
    grad, x = (np.array(a, dtype=np.float64) for a in (node.grad, node.inputs[0].value))
    weight = np.array(node.module.weight.value, dtype=np.float64)  # type: ignore[union-attr]
    if of == "input":
        *sample, j = where
        g = grad[tuple(sample)]
        at = ", ".join(map(str, sample))
        return [_row(f"dY[{at}, {i}]", g[i], f"W[{i}, {j}]", weight[i, j]) for i in range(len(g))]
    grad, x = grad.reshape(-1, grad.shape[-1]), x.reshape(-1, x.shape[-1])
    if of == "bias":
        return [_row(f"dY[{n}, {where[0]}]", grad[n, where[0]], "1", 1.0) for n in range(len(grad))]
    i, j = where
    return [_row(f"dY[{n}, {i}]", grad[n, i], f"X[{n}, {j}]", x[n, j]) for n in range(len(grad))]


def _of_any(node: Node, of: str, where: tuple[int, ...]) -> list[dict[str, Any]]:
    """Of any layer: its own backward, asked with a 1 in one place of the output and 0 elsewhere."""
    grad, parameter = node.grad, None
    if not isinstance(grad, mx.array):
        raise ValueError("the products of a layer with several outputs cannot be listed")
    flat = np.array(grad.astype(mx.float32), dtype=np.float64).reshape(-1)
    asked = np.nonzero(flat)[0]
    if of == "input" and getattr(node.module, "samples_apart", False):  # other samples have no part in it
        size = flat.size // grad.shape[0]
        asked = asked[(asked // size) == where[0]]
    asked = asked[np.argsort(-abs(flat[asked]))][:OUTPUTS]
    if of != "input":
        parameter = dict(node.module.named_parameters())[of]  # type: ignore[union-attr]
    rows = []
    for m in asked:
        one = np.zeros(flat.size, np.float32)
        one[m] = 1
        node.grad = mx.array(one.reshape(grad.shape)).astype(grad.dtype)
        if parameter is not None:
            parameter.grad = None
        passed = input_grads(node)
        found = passed[0] if parameter is None else parameter.grad
        slope = 0.0 if found is None else found[where].item()
        if slope:
            at = ", ".join(str(int(i)) for i in np.unravel_index(m, grad.shape))
            letter = "X" if of == "input" else of
            rows.append(_row(f"dY[{at}]", flat[m], f"∂Y[{at}]/∂{letter}[{', '.join(map(str, where))}]", slope))
    node.grad = grad
    return rows
