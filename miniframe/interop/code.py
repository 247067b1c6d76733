"""A model as a script that a student can read from top to bottom: forward, loss, backward, update, and no framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from .. import losses, optimizers
from ..core.arrays import as_array, is_floating
from ..core.module import Module
from ..core.node import Node
from ..core.untouched import untouched
from ..graph.passes import Pass
from ..layers import Embedding
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .code_call import Call, count_of, floats
from .code_weights import LIBRARIES, initial
from .formulas import FORMULAS, largest


def to_code(model: Module, loss: Any, optimizer: Optimizer, language: str = "numpy", *, example: Any) -> str:
    """Write a model's training as a script of straight lines, with shapes in the comments.

    The script has one function for the first weights, and one for a training step: the forward of every layer, the
    loss, the backward of every layer, the update. Run by itself it trains ten steps on random numbers. With the same
    weights (``np.savez("weights.npz", **model.state_dict())``) and batches its losses are those of ``fit``.

    Args:
        model: a Sequential, a Graph, or a module that composes layers.
        loss: one of miniframe's losses, or its name: mean squared or absolute error, cross-entropy with integer
            labels, or binary cross-entropy of logits.
        optimizer: SGD, Adam or AdamW of this model, with a number as its rate.
        language: "numpy", "torch" (tensors only, no autograd) or "mlx".
        example: a batch of inputs, which gives the shapes.

    Raises:
        ValueError: for layers, losses and optimizers that have no formula here, all named at once.

    >>> import miniframe as mf
    >>> model = mf.Sequential(mf.Linear(2, 3), mf.Tanh(), mf.Linear(3, 1))
    >>> code = to_code(model, "mse", mf.SGD(model, lr=0.1), example=mx.zeros((4, 2)))
    >>> print(code[code.index("    # forward"):code.index("    # loss")])
        # forward
        h1 = x @ p["0.weight"].T + p["0.bias"]  # layer '0', Linear(2 -> 3): (4, 3)
        h2 = np.tanh(h1)  # layer '1', Tanh(): (4, 3)
        h3 = h2 @ p["2.weight"].T + p["2.bias"]  # layer '2', Linear(3 -> 1): (4, 1)
    <BLANKLINE>
    """
    if language not in LIBRARIES:
        raise ValueError(f"to_code: expected a language out of {', '.join(LIBRARIES)}, got {language!r}")
    loss = losses.get(loss)
    calls, result = _calls(model, example, language)
    xp, module = LIBRARIES[language]
    target, value, gradient = _loss(loss, result, xp, language)
    seen = as_array(example)
    parts = [
        f'"""{_about(model)} in {language}: forward, loss, backward and update, written out by miniframe."""',
        f"import {module}" + ("" if module == xp else f" as {xp}"),
        "\n".join(initial(model, language)),
        "\n".join(_step(calls, result, target, value, gradient, _update(optimizer, xp))).replace("{xp}", xp),
        "\n".join(_main(seen, result.shape, isinstance(loss, losses.CrossEntropyLoss), language, _tokens(calls))),
    ]
    if "math." in parts[3]:
        parts[1] = f"import math\n\n{parts[1]}"
    return "\n\n\n".join(["\n\n".join(parts[:2]), *parts[2:]]) + "\n"


def _calls(model: Module, example: Any, language: str) -> tuple[list[Call], Call]:
    """The model's calls with their lines, in order, and the last one, whose output is the prediction."""
    with untouched(model):
        seen = Pass(model, example, "to_code")
        names: dict[int, str] = {id(node): "x" for node in seen.inputs}
        if len(seen.inputs) > 1 or len(seen.outputs) > 1:
            raise ValueError("to_code: expected a model with one input and one output")
        taken: set[str] = set()
        cells = {id(cell): name for name, cell in model.named_items()}
        calls, refused = [], []
        for number, (name, node) in enumerate(seen.calls.items(), 1):
            names[id(node)] = f"h{number}"
            path = seen.paths.get(id(node.module), "")
            inputs = [_given(input, names) for input in node.inputs]
            shapes = [tuple(input.shape) for input in node.inputs]
            call = Call(
                node.module,
                inputs,
                shapes,
                f"h{number}",
                tuple(node.shape),
                language,
                path,
                taken,
                seen.title(name),
                cells,
            )
            formula = FORMULAS.get(type(node.module))  # type: ignore[arg-type]
            calls.append(call)
            if formula is None:
                refused.append(call.title)
    if refused:
        known = ", ".join(sorted(cls.__name__ for cls in FORMULAS))
        raise ValueError(f"to_code: there is no formula here for {', '.join(refused)}; known: {known}")
    for call in reversed(calls):  # gradients are added up from the last call to the first
        try:
            FORMULAS[type(call.layer)](call)
        except ValueError as error:
            raise ValueError(f"to_code: {call.title} with {error} has no formula here") from None
    return calls, calls[-1]


def _about(model: Module) -> str:
    count = sum(array.size for _, array in model.named_parameters())
    return f"A {type(model).__name__} of {count:,} parameters"


def _given(node: Node, names: dict[int, str]) -> str:
    if id(node) not in names:
        if not isinstance(node.value, (int, float)):
            raise ValueError(f"to_code: expected calls of layers on x, got a constant array of shape {node.shape}")
        return repr(node.value)
    return names[id(node)]


def _step(
    calls: list[Call], result: Call, target: str, value: list[str], gradient: str, update: list[str]
) -> Iterator[str]:
    """The lines of one training step."""
    yield "def step(p, state, x, y):"
    batch = f"x {calls[0].shapes[0]} with targets y {target}"
    yield f'    """One step on a batch {batch}; changes p and state, returns the loss."""'
    yield "    # forward"
    for call in calls:
        yield from _noted(call.forward, f"{call.title}: {call.shape}")
    yield ""
    yield "    # loss"
    yield from (f"    {line}" for line in value)
    yield ""
    yield "    # backward, from the last layer to the first: g holds the gradients of p"
    yield "    g = {}"
    yield f"    d{result.y} = {gradient}"
    for call in reversed(calls):
        yield from _noted(call.backward, call.title)
    yield ""
    yield "    # update"
    yield from (f"    {line}" for line in update)
    yield "    return float(loss)"


def _noted(lines: list[str], note: str) -> Iterator[str]:
    """One line with its note behind it; several below it."""
    if len(lines) == 1 and len(lines[0]) + len(note) < 110:
        yield f"    {lines[0]}  # {note}"
    else:
        yield f"    # {note}"
        yield from (f"    {line}" for line in lines)


def _loss(loss: Loss, result: Call, xp: str, language: str) -> tuple[str, list[str], str]:
    """(the target's shape in words, the lines that compute the loss, the gradient of the prediction)."""
    z, shape = result.y, result.shape
    count = count_of(shape[1:]) if loss.reduction == "mean" else ""
    share = f" / ({count})" if "*" in count else f" / {count}" if count else ""
    if type(loss) is losses.MSELoss:
        return str(shape), [f"loss = (({z} - y) ** 2).sum(){share}"], f"2 * ({z} - y){share}"
    if type(loss) is losses.L1Loss:
        return str(shape), [f"loss = abs({z} - y).sum(){share}"], f"{xp}.sign({z} - y){share}"
    if type(loss) is losses.BCEWithLogitsLoss:
        lines = [f"loss = ({xp}.log(1 + {xp}.exp(-abs({z}))) + {z} * ({z} > 0) - y * {z}).sum(){share}"]
        return str(shape), lines, f"(1 / (1 + {xp}.exp(-{z})) - y){share}"
    plain = type(loss) is losses.CrossEntropyLoss and loss.label_smoothing == 0 and loss.ignore_index is None
    if plain:
        labels = count_of(shape[1:-1])
        share = "" if not count else f" / ({labels})" if "*" in labels else f" / {labels}"
        lines = [
            f"q = {xp}.eye({shape[-1]}{floats(language)})[y]  # a row for each label: 1 for its class, 0 elsewhere",
            f"shifted = {z} - {largest(language, z)}",
            f"log_p = shifted - {xp}.log({xp}.exp(shifted).sum(-1, keepdims=True))",
            f"loss = -(q * log_p).sum(){share}",
        ]
        return f"{shape[:-1]}, whole numbers", lines, f"({xp}.exp(log_p) - q){share}"
    raise ValueError(
        f"to_code: there is no formula here for {loss.title()}; known: MSELoss, L1Loss, BCEWithLogitsLoss, and "
        "CrossEntropyLoss of integer labels without smoothing"
    )


def _update(optimizer: Optimizer, xp: str) -> list[str]:
    """The lines that change every parameter."""
    name, group = type(optimizer).__name__, optimizer.groups[0]
    options = (optimizer.decay, optimizer.clip_value, optimizer.clip_norm, len(optimizer.groups), optimizer.accumulate)
    if options != (0, None, None, 1, 1) or callable(group.lr):
        raise ValueError(f"to_code: expected {name} with one group, a number as its rate, and no decay or clipping")
    rate, decay = float(group.lr), group.weight_decay
    lines = ["for name in g:"]
    if optimizer.maximize:
        lines.append("    g[name] = -g[name]")
    if decay and name != "AdamW":
        lines.append(f"    g[name] = g[name] + {decay!r} * p[name]")
    if type(optimizer) is optimizers.SGD:
        momentum, change = optimizer.momentum, "g[name]"
        if momentum:
            lines.append(f"    state[name] = {momentum!r} * state.get(name, 0.0) + g[name]")
            change = f"(g[name] + {momentum!r} * state[name])" if optimizer.nesterov else "state[name]"
        return [*lines, f"    p[name] = p[name] - {rate!r} * {change}"]
    if isinstance(optimizer, optimizers.Adam) and not optimizer.amsgrad:
        first, second = optimizer.betas
        return [
            'state["t"] = state.get("t", 0) + 1',
            *lines,
            *([f"    p[name] = p[name] * (1 - {rate!r} * {decay!r})"] if decay and name == "AdamW" else []),
            "    m, s = state.get(name, (0.0, 0.0))",
            f"    m = {first!r} * m + (1 - {first!r}) * g[name]",
            f"    s = {second!r} * s + (1 - {second!r}) * g[name] ** 2",
            "    state[name] = m, s",
            f'    m_hat, s_hat = m / (1 - {first!r} ** state["t"]), s / (1 - {second!r} ** state["t"])',
            f"    p[name] = p[name] - {rate!r} * m_hat / ({xp}.sqrt(s_hat) + {optimizer.eps!r})",
        ]
    raise ValueError(f"to_code: there is no formula here for {name}; known: SGD, Adam, AdamW")


def _tokens(calls: list[Call]) -> int:
    """How many different numbers the input may hold, where the first layer looks rows up; 0 for real numbers."""
    first = calls[0].layer
    return first.num_embeddings if isinstance(first, Embedding) else 0


def _main(x: mx.array, output: tuple[int, ...], labels: bool, language: str, tokens: int) -> Iterator[str]:
    """The lines that train ten steps on random numbers when the script is run."""
    normal = {
        "numpy": "np.random.default_rng(1).normal(size={}).astype(np.float32)",
        "torch": "torch.randn({})",
        "mlx": "mx.random.normal({})",
    }[language]
    classes = {
        "numpy": "np.random.default_rng(2).integers(0, {1}, {0})",
        "torch": "torch.randint(0, {1}, {0})",
        "mlx": "mx.random.randint(0, {1}, {0})",
    }[language]
    if not is_floating(x) and not tokens:
        raise ValueError(f"to_code: expected an example of real numbers, got {x.dtype}")
    yield 'if __name__ == "__main__":'
    yield "    p, state = initial(), {}"
    shape = tuple(x.shape)
    yield f"    x = {classes.format(shape, tokens) if tokens else normal.format(shape)}"
    target = classes.format(output[:-1], output[-1]) if labels else normal.format(output).replace("_rng(1)", "_rng(2)")
    yield f"    y = {target}"
    yield "    for number in range(10):"
    yield '        print(f"step {number}: loss {step(p, state, x, y):.6f}")'
