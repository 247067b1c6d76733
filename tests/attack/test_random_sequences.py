"""Random layers for sequences against PyTorch: attention, blocks, recurrent layers, with any options and sizes."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import torch
from attacks import attack
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from twins import VIEWS, Corners, agree, by_torch, computing, numbers, random_weights

import miniframe as mf
from miniframe import interop

sizes, few, switch = st.integers(1, 6), st.integers(1, 3), st.booleans()
views = st.sampled_from(sorted(VIEWS))


def by_miniframe(model, x, upstream, double, view):
    with computing(double, model) as array:
        output = model(VIEWS[view](array(x)))
        passed = model.backward(VIEWS[view](array(upstream)))
        found = {"output": np.array(output), "input gradient": np.array(passed)}
        found |= {f"{name} gradient": np.array(p.grad) for name, p in model.named_parameters()}
    return found


def compared(module, model, x, double, view, names=lambda found: found):
    """Assert that both compute the same; ``names`` brings what PyTorch found under our names."""
    corners = Corners()
    exact = by_torch(module, x, None, torch.float64, corners)
    corners.keep_away(double)
    rounded = by_torch(module, x, None, torch.float32, corners)
    ours = by_miniframe(model, x, numbers(exact["output"].shape, 77), double, view)
    agree(ours, names(exact), names(rounded), double)


class Alone(nn.Module):
    """A recurrent layer whose output alone is given on, all of it or at the last step of each direction."""

    def __init__(self, layer, whole):
        super().__init__()
        self.layer, self.whole = layer, whole

    def forward(self, x):
        output, state = self.layer(x)
        if self.whole:
            return output
        hidden = state[0] if isinstance(state, tuple) else state
        return torch.cat([*hidden[-2 if self.layer.bidirectional else -1 :]], dim=-1)


class ToItself(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


@attack(40)
@given(
    kind=st.sampled_from(["RNN", "GRU", "LSTM"]), shape=st.tuples(few, sizes, few), width=sizes,
    layers=st.integers(1, 2), both=switch, bias=switch, whole=switch, double=switch, view=views,
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_recurrent_layer_computes_what_pytorchs_does(
    kind, shape, width, layers, both, bias, whole, double, view, seed
):
    module = getattr(nn, kind)(shape[2], width, layers, bias=bias, batch_first=True, bidirectional=both)
    random_weights(module, seed)
    model = getattr(mf, kind)(shape[2], width, num_layers=layers, bidirectional=both, bias=bias, return_sequences=whole)
    interop.load_torch_weights(model, module.state_dict())

    def names(found):
        return {name.removeprefix("layer."): value for name, value in found.items()}

    compared(Alone(module, whole), model, numbers(shape, seed), double, view, names)


@attack(40)
@given(
    shape=st.tuples(few, sizes), heads=few, width=few, bias=switch, double=switch, view=views, seed=st.integers(0, 99)
)
def test_attention_computes_what_pytorchs_does(shape, heads, width, bias, double, view, seed):
    module = nn.MultiheadAttention(heads * width, heads, bias=bias, batch_first=True)
    random_weights(module, seed)

    def names(found):
        ours = {}
        for name, value in found.items():
            name = name.removeprefix("layer.").replace("out_proj", "output")
            if name.startswith("in_proj_"):
                for part, third in zip(("query", "key", "value"), np.split(value, 3)):
                    ours[f"{part}.{name.removeprefix('in_proj_')}"] = third
            else:
                ours[name] = value
        return ours

    x = numbers((*shape, heads * width), seed)
    compared(ToItself(module), interop.from_torch(module), x, double, view, names)


@attack(40)
@given(
    shape=st.tuples(few, sizes), heads=few, width=few, hidden=sizes, bias=switch, before=switch,
    activation=st.sampled_from(["relu", "gelu"]), view=views, seed=st.integers(0, 99),
)  # fmt: skip
def test_a_block_computes_what_pytorchs_does(shape, heads, width, hidden, bias, before, activation, view, seed):
    double = True  # norms of two numbers that are nearly the same make anything of a rounding error
    if heads * width == 1:
        width = 2  # the norm of a single number is 0, whatever rounding makes of it
    module = nn.TransformerEncoderLayer(
        heads * width, heads, hidden, dropout=0.0, activation=activation, batch_first=True, norm_first=before, bias=bias
    )
    random_weights(module, seed)
    model, x = interop.from_torch(module), numbers((*shape, heads * width), seed)
    corners = Corners()
    if activation == "relu":
        module.linear1.register_forward_hook(lambda layer, given, found: corners.see(found))
    exact = by_torch(module, x, None, torch.float64, Corners())
    corners.keep_away(double)
    rounded = by_torch(module, x, None, torch.float32, Corners())
    ours = by_miniframe(model, x, numbers(exact["output"].shape, 77), double, view)
    wanted = ("output", "input gradient")
    agree({name: ours[name] for name in wanted}, *({k: f[k] for k in wanted} for f in (exact, rounded)), double)
    total = sum(np.abs(value).sum() for name, value in exact.items() if "gradient" in name)
    found = sum(np.abs(value).astype(np.float64).sum() for name, value in ours.items() if "gradient" in name)
    assert abs(total - found) <= (1e-8 if double else 1e-3) * total


@attack(40)
@given(
    count=sizes, batch=few, kept=few, heads=few, width=few, causal=switch, masked=switch, double=switch, view=views,
    seed=st.integers(0, 99),
)  # fmt: skip
def test_attention_with_masks_computes_what_pytorchs_function_does(
    count, batch, kept, heads, width, causal, masked, double, view, seed
):
    rng = np.random.default_rng(seed)
    q, k, v = (numbers((batch, heads, count, width), seed + i) for i in range(3))
    mask = rng.uniform(size=(batch, 1, count, count)) < 0.6
    mask |= np.eye(count, dtype=bool)  # every place may see itself
    allowed = mask if masked else np.ones((1, 1, count, count), dtype=bool)
    allowed = np.tril(allowed) if causal else allowed
    found = {}
    for name, dtype in (("exact", torch.float64), ("rounded", torch.float32)):
        tensors = [torch.tensor(part).to(dtype).requires_grad_() for part in (q, k, v)]
        output = nn.functional.scaled_dot_product_attention(*tensors, attn_mask=torch.tensor(allowed))
        output.backward(torch.tensor(numbers(q.shape, 77)).to(dtype))
        found[name] = {"output": output.detach().double().numpy()}
        found[name] |= {f"gradient {i}": tensor.grad.double().numpy() for i, tensor in enumerate(tensors)}
    layer = mf.ScaledDotProductAttention(causal=causal)
    with computing(double, layer) as array:
        inputs = [VIEWS[view](array(part)) for part in (q, k, v)]
        given = [*inputs, mx.array(mask)] if masked else inputs
        ours = {"output": np.array(layer(*given))}
        passed = layer.backward(VIEWS[view](array(numbers(q.shape, 77))))
        ours |= {f"gradient {i}": np.array(grad) for i, grad in enumerate(passed[:3])}
    agree(ours, found["exact"], found["rounded"], double)
