"""Random graphs against PyTorch: branches, values used several times, layers shared by several calls, two ends."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import torch
from attacks import attack
from hypothesis import given
from hypothesis import strategies as st
from twins import agree, computing, numbers

import miniframe as mf

WIDTH = 3
SIGNS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
steps = st.lists(
    st.tuples(st.sampled_from([*SIGNS, "tanh", "linear", "join"]), st.integers(0, 50), st.integers(0, 50)),
    min_size=1, max_size=9,
)  # fmt: skip


def computed(x, plan, call):
    """The last value of the plan, whose steps take any earlier ones; ``call(name, values)`` computes a step."""
    values = [x]
    for name, first, second in plan:
        values.append(call(name, values[first % len(values)], values[second % len(values)]))
    return values[-1] + values[len(values) // 2]


@attack(60)
@given(plan=steps, batch=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_random_graph_computes_what_pytorch_computes(plan, batch, seed):
    weights = {"linear": numbers((WIDTH, WIDTH), seed), "join": numbers((WIDTH, 2 * WIDTH), seed + 1)}
    x, upstream = numbers((batch, WIDTH), seed + 2), numbers((batch, WIDTH), seed + 3)
    found = {}
    for name, dtype in (("exact", torch.float64), ("rounded", torch.float32)):
        w = {key: torch.tensor(value).to(dtype).requires_grad_() for key, value in weights.items()}
        start = torch.tensor(x).to(dtype).requires_grad_()

        def call(name, a, b, w=w):
            if name in SIGNS:
                return SIGNS[name](a, b)
            return torch.tanh(a) if name == "tanh" else (torch.cat([a, b], 1) if name == "join" else a) @ w[name].T

        output = computed(start, plan, call)
        output.backward(torch.tensor(upstream).to(dtype))
        found[name] = {"output": output.detach().double().numpy(), "input": start.grad.double().numpy()}
        found[name] |= {key: v.grad.double().numpy() for key, v in w.items() if v.grad is not None}
    layers = {"linear": mf.Linear(WIDTH, WIDTH, bias=False), "join": mf.Linear(2 * WIDTH, WIDTH, bias=False)}
    for key, layer in layers.items():
        layer.weight.value = mx.array(weights[key].astype(np.float32))

    def call(name, a, b):
        if name in SIGNS:
            return SIGNS[name](a, b)
        if name == "tanh":
            return mf.Tanh()(a)
        return layers[name](mf.concatenate((a, b), axis=1) if name == "join" else a)

    begin = mf.Input(shape=(WIDTH,))
    graph = mf.Graph(begin, computed(begin, plan, call))
    with computing(True, graph) as array:
        ours = {"output": np.array(graph(array(x)))}
        ours["input"] = np.array(graph.backward(array(upstream)))
        used = {name for name, _, _ in plan}
        ours |= {k: np.array(v.weight.grad) for k, v in layers.items() if k in used and v.weight.grad is not None}
    agree(ours, found["exact"], found["rounded"], True)
