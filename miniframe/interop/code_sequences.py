"""What a transformer is made of as lines of code: tables of vectors, heads, attention, GELU."""

from __future__ import annotations

from .code_call import Call, floats


def embedding(call: Call) -> None:
    """A row for each number; going back, a table of ones and zeros says which rows the gradients belong to."""
    table, rows, x = call.layer.num_embeddings, call.own("rows"), call.x[0]
    call.forward.append(f"{call.y} = {call.cell('weight')}[{x}]")
    call.backward.append(f"{rows} = {{xp}}.eye({table}{floats(call.library)})[{x}.reshape(-1)]")
    call.learn("weight", f"{rows}.T @ {call.dy}.reshape(-1, {call.shape[-1]})")


def positions(call: Call) -> None:
    if len(call.x) > 1:
        raise ValueError("places of its own")
    table, grad, length = call.cell("table.weight"), call.own("dw"), call.shape[-2]
    call.forward.append(f"{call.y} = {call.x[0]} + {table}[:{length}]")
    call.backward += [f"{grad} = {{xp}}.zeros_like({table})", f"{grad}[:{length}] = {call.dy}.sum(0)"]
    call.learn("table.weight", grad)
    call.send(call.dy)


def split_heads(call: Call) -> None:
    _, heads, length, features = call.shape
    call.forward.append(
        f"{call.y} = {call.x[0]}.reshape(len({call.x[0]}), {length}, {heads}, {features}).swapaxes(1, 2)"
    )
    call.send(f"{call.dy}.swapaxes(1, 2).reshape({call.x[0]}.shape)")


def merge_heads(call: Call) -> None:
    _, heads, length, features = call.shapes[0]
    call.forward.append(
        f"{call.y} = {call.x[0]}.swapaxes(1, 2).reshape(len({call.x[0]}), {length}, {heads * features})"
    )
    call.send(f"{call.dy}.reshape(len({call.dy}), {length}, {heads}, {features}).swapaxes(1, 2)")


def attention(call: Call) -> None:
    """S = Q Kᵀ / √D, P = softmax(S), Y = P V; what comes later gets a score that leaves nothing of it."""
    layer = call.layer
    if len(call.x) > 3 or layer.dropout or call.shapes[0][:-2] != call.shapes[1][:-2]:
        raise ValueError("a mask, dropout or shared heads")
    (q, k, v), (queries, keys) = call.x, (call.shapes[0][-2], call.shapes[1][-2])
    s, p, dp, ds = call.own("scores"), call.own("weights"), call.own("dweights"), call.own("dscores")
    scale = repr(call.shapes[0][-1] ** -0.5 if layer.scale is None else layer.scale)
    call.forward.append(f"{s} = {q} @ {k}.swapaxes(-1, -2) * {scale}")
    if layer.causal:
        ones = f"{{xp}}.ones(({queries}, {keys}){floats(call.library)})"
        earlier = f"{{xp}}.tril({ones}, {keys - queries})" if keys != queries else f"{{xp}}.tril({ones})"
        call.forward.append(f"{s} = {s} - 1e9 * (1 - {earlier})  # nobody sees what comes later")
    largest = f"{s}.{'amax' if call.library == 'torch' else 'max'}(-1, keepdims=True)"
    call.forward += [f"{p} = {{xp}}.exp({s} - {largest})", f"{p} = {p} / {p}.sum(-1, keepdims=True)"]
    call.forward.append(f"{call.y} = {p} @ {v}")
    call.backward += [
        f"{dp} = {call.dy} @ {v}.swapaxes(-1, -2)",
        f"{ds} = {p} * ({dp} - ({dp} * {p}).sum(-1, keepdims=True)) * {scale}",
    ]
    call.send(f"{ds} @ {k}", 0)
    call.send(f"{ds}.swapaxes(-1, -2) @ {q}", 1)
    call.send(f"{p}.swapaxes(-1, -2) @ {call.dy}", 2)


def gelu(call: Call) -> None:
    """x Φ(x), and going back Φ(x) + x φ(x), φ being the density of the normal distribution."""
    if call.layer.approximate != "none":
        raise ValueError(f"approximate={call.layer.approximate!r}")
    x, phi = call.x[0], call.own("phi")
    erf = "np.vectorize(math.erf, otypes=[np.float32])" if call.library == "numpy" else "{xp}.erf"
    call.forward += [f"{phi} = (1 + {erf}({x} / 2**0.5)) / 2", f"{call.y} = {x} * {phi}"]
    call.send(f"{call.dy} * ({phi} + {x} * {{xp}}.exp(-{x} * {x} / 2) / 6.283185307179586**0.5)")
