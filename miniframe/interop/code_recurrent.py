"""Recurrent layers as lines of code: a loop over the steps, and one that goes back through them in reverse."""

from __future__ import annotations

from .code_call import Call, floats


def recurrent(call: Call) -> None:
    """RNN, GRU or LSTM in one direction, layer upon layer, from a state of zeros."""
    layer = call.layer
    if layer.directions > 1 or layer.return_state or len(call.x) > 1 or layer.dropout:
        raise ValueError("two directions, a state or a mask of its own, or dropout")
    count, length = layer.num_layers, call.shapes[0][1]
    inputs = [call.x[0], *(call.own(f"layer{k}") for k in range(count - 1))]
    outputs = [*inputs[1:], call.y]
    for k in range(count):
        _forward(call, k, inputs[k], outputs[k], length, k + 1 == count)
    for k in reversed(range(count)):
        _backward(call, k, inputs[k], outputs[k], length, k + 1 == count)


def _kind(call: Call) -> str:
    return type(call.layer).__name__


def _forward(call: Call, k: int, x: str, y: str, length: int, last: bool) -> None:
    """The steps of one layer; ``steps`` keeps what each needs for its way back."""
    kind, hidden, steps = _kind(call), call.layer.hidden_size, call.own(f"steps{k}")
    zeros = f"{{xp}}.zeros((len({call.x[0]}), {hidden}){floats(call.library)})"
    biases = [f" + {call.cell(f'{name}_l{k}')}" if call.layer.biased else "" for name in ("bias_ih", "bias_hh")]
    lines = [
        f"a = {x}[:, t] @ {call.cell(f'weight_ih_l{k}')}.T{biases[0]}",
        f"u = h @ {call.cell(f'weight_hh_l{k}')}.T{biases[1]}",
        *STEPS[kind],
        "every.append(h)",
    ]
    lines = [line.replace("{H}", str(hidden)).replace("{2H}", str(2 * hidden)).replace("{3H}", str(3 * hidden))
             .replace("{steps}", steps).replace("{act}", _activation(call)) for line in lines]  # fmt: skip
    whole = not last or call.layer.return_sequences
    call.forward += [
        f"h, {steps}, every = {zeros}, [], []",
        *(["c = 0.0 * h"] if kind == "LSTM" else []),
        f"for t in range({length}):",
        *(f"    {line}" for line in lines),
        f"{y} = {{xp}}.stack(every, 1)" if whole else f"{y} = h",
    ]


def _activation(call: Call) -> str:
    return "{xp}.tanh(a + u)" if getattr(call.layer, "nonlinearity", "tanh") == "tanh" else "(a + u) * (a + u > 0)"


STEPS = {  # a and u are what input and state say to the gates
    "RNN": ["{steps}.append(h)", "h = {act}"],
    "GRU": [
        "r, z = (1 / (1 + {xp}.exp(-part)) for part in ((a + u)[:, :{H}], (a + u)[:, {H}:{2H}]))",
        "n = {xp}.tanh(a[:, {2H}:] + r * u[:, {2H}:])",
        "{steps}.append((h, r, z, n, u[:, {2H}:]))",
        "h = (1 - z) * n + z * h",
    ],
    "LSTM": [
        "i, f = (1 / (1 + {xp}.exp(-part)) for part in ((a + u)[:, :{H}], (a + u)[:, {H}:{2H}]))",
        "n, o = {xp}.tanh((a + u)[:, {2H}:{3H}]), 1 / (1 + {xp}.exp(-(a + u)[:, {3H}:]))",
        "{steps}.append((h, c, i, f, n, o))",
        "c = f * c + i * n",
        "h = o * {xp}.tanh(c)",
    ],
}
BACK = {  # from dh, and dc for an LSTM, to da and du, and to what the step before gets besides
    "RNN": ["before = {steps}[t]", "da = du = {dact}"],
    "GRU": [
        "before, r, z, n, u = {steps}[t]",
        "dn, dz = dh * (1 - z) * (1 - n * n), dh * (before - n) * z * (1 - z)",
        "dr = dn * u * r * (1 - r)",
        "da, du = {xp}.concatenate([dr, dz, dn], 1), {xp}.concatenate([dr, dz, dn * r], 1)",
    ],
    "LSTM": [
        "before, c, i, f, n, o = {steps}[t]",
        "tanh_c = {xp}.tanh(f * c + i * n)",
        "dc = dc + dh * o * (1 - tanh_c * tanh_c)",
        "di, df = dc * n * i * (1 - i), dc * c * f * (1 - f)",
        "dn, do = dc * i * (1 - n * n), dh * tanh_c * o * (1 - o)",
        "da = du = {xp}.concatenate([di, df, dn, do], 1)",
    ],
}
NEXT = {"RNN": "dh = du @ {hh}", "GRU": "dh = dh * z + du @ {hh}", "LSTM": "dh, dc = du @ {hh}, dc * f"}


def _backward(call: Call, k: int, x: str, y: str, length: int, last: bool) -> None:
    """The steps of one layer from the last to the first; each adds its share to the gradients of the weights."""
    kind, steps, every = _kind(call), call.own(f"steps{k}"), call.own(f"dx{k}")
    whole = not last or call.layer.return_sequences
    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if call.layer.biased else ()))
    shares = {"weight_ih": f"da.T @ {x}[:, t]", "weight_hh": "du.T @ before", "bias_ih": "da.sum(0)",
              "bias_hh": "du.sum(0)"}  # fmt: skip
    sums = {name: call.own(f"d_{name}_l{k}") for name in names}
    h = f"{y}[:, t]" if whole else y if length == 1 else f"({y} if t == {length - 1} else {steps}[t + 1])"
    slope = f"(1 - {h} * {h})" if getattr(call.layer, "nonlinearity", "tanh") == "tanh" else f"({h} > 0)"
    lines = [
        *([f"dh = dh + d{y}[:, t]"] if whole else []),
        *(line.replace("{steps}", steps).replace("{dact}", f"dh * {slope}") for line in BACK[kind]),
        *(f"{sums[name]} = {sums[name]} + {shares[name]}" for name in names),
        f"{every}.append(da @ {call.cell(f'weight_ih_l{k}')})",
        NEXT[kind].replace("{hh}", call.cell(f"weight_hh_l{k}")),
    ]
    call.backward += [
        f"{every} = []",
        f"{' = '.join(sums.values())} = 0.0",
        f"dh = {'0.0' if whole else f'd{y}'}",
        *(["dc = 0.0"] if kind == "LSTM" else []),
        f"for t in reversed(range({length})):",
        *(f"    {line}" for line in lines),
    ]
    for name in names:
        call.learn(f"{name}_l{k}", sums[name])
    value = f"{{xp}}.stack({every}[::-1], 1)"
    if k:
        call.backward.append(f"d{x} = {value}")
    else:
        call.send(value)
