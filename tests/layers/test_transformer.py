"""The transformer block against three witnesses, among them PyTorch's encoder layer with the same weights."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_mx_grad, by_torch, close, normal

import miniframe as mf

ZERO = "attention.key.bias"  # it adds the same to all scores of a query, so that nothing changes


def twin(block, **options):
    """PyTorch's layer with the weights of ours, and where it keeps the gradient of each of our parameters."""
    size, bias = block.embed_dim, block.attention.query.bias is not None
    module = torch.nn.TransformerEncoderLayer(
        size, block.num_heads, block.mlp["up"].out_features, block.dropout.p, norm_first=block.norm_first, bias=bias,
        batch_first=True, **options,
    ).train(block.training)  # fmt: skip
    attention, found = module.self_attn, {}
    for index, name in enumerate(("query", "key", "value")):
        place = slice(index * size, (index + 1) * size)
        found[f"attention.{name}.weight"] = (attention.in_proj_weight, lambda a, place=place: a[place])
        found[f"attention.{name}.bias"] = (attention.in_proj_bias, lambda a, place=place: a[place])
    pairs = {"attention.output": attention.out_proj, "mlp.up": module.linear1, "mlp.down": module.linear2}
    pairs |= {"norm1": module.norm1, "norm2": module.norm2}
    for path, inner in pairs.items():
        for kind in ("weight", "bias"):
            found[f"{path}.{kind}"] = (getattr(inner, kind), lambda a: a)
    for seed, (name, parameter) in enumerate(block.named_parameters()):
        parameter.value = parameter.value + 0.1 * mx.array(normal(*parameter.shape, seed=seed)).astype(mx.float32)
        tensor, convert = found[name]
        with torch.no_grad():
            convert(tensor).copy_(torch.tensor(np.array(parameter.value)))
    return module, {name: found[name] for name, _ in block.named_parameters() if name != ZERO}


def passes(block, *inputs):
    report = mf.check_gradients(block, *inputs)
    assert report.passed, report
    assert all(np.abs(row.numeric).max() > 0 for row in report.rows if row.name != ZERO), report
    by_mx_grad(block, *inputs, zero="" if block.attention.rotary else ZERO)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("norm_first", [True, False], ids=["norm first", "norm last"])
@pytest.mark.parametrize(
    "options, activation, shape",
    [
        ({}, "gelu", (2, 3, 6)),
        ({"causal": True}, "relu", (1, 5, 6)),
        ({"bias": False, "eps": 0.01}, "gelu", (3, 1, 6)),
    ],
    ids=["plain", "causal", "no bias"],
)
def test_it_agrees_with_three_witnesses(options, activation, shape, norm_first, training):
    mf.seed(1)
    block = mf.TransformerBlock(6, 2, 5, norm_first=norm_first, activation=activation, **options).train(training)
    module, weights = twin(block, activation=activation, layer_norm_eps=options.get("eps", 1e-5))
    hidden = torch.triu(torch.ones(shape[1], shape[1], dtype=torch.bool), 1) if "causal" in options else None
    x = normal(*shape, seed=8)
    if shape[1] > 1:
        passes(block, x)
    else:  # one place alone sees itself, whatever queries and keys are
        assert mf.check_gradients(block, x).passed
        by_mx_grad(block, x)
    by_torch(block, lambda x: module(x, hidden), x, weights=weights)


@pytest.mark.parametrize("norm_first", [True, False], ids=["norm first", "norm last"])
def test_padding_agrees_with_three_witnesses(norm_first):
    block, x = mf.TransformerBlock(6, 3, 5, norm_first=norm_first), normal(2, 4, 6, seed=8)
    module, weights = twin(block, activation="gelu")
    seen = np.array([[True, True, True, False], [True, True, False, False]])
    passes(block, x, seen)
    by_torch(block, lambda x, seen: module(x, src_key_padding_mask=~seen), x, seen, weights=weights)
    array = mx.array(x.astype(np.float32))
    block(array, mx.array(seen))
    dx, _ = block.backward(mx.array(seen.astype(np.float32)[..., None] * normal(6).astype(np.float32)))
    assert np.all(np.array(dx)[~seen] == 0) and np.all(np.array(dx)[seen] != 0)


OTHERS = {
    "llama": dict(norm="rms", activation="swiglu", rotary=True, bias=False, num_kv_heads=1, causal=True),
    "silu, rms, norm last": dict(norm="rms", activation="silu", norm_first=False),
    "dropout": dict(dropout=0.3),
    "dropout, gated": dict(dropout=0.3, activation="swiglu", norm_first=False),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", OTHERS)
def test_every_option_passes_differences_and_mx_grad(name, training):
    mf.seed(1)
    block = mf.TransformerBlock(4, 2, 5, **OTHERS[name]).train(training)
    passes(block, normal(2, 3, 4, seed=8))


def test_llamas_block_is_its_formula():
    block, x = mf.TransformerBlock(4, 2, 5, **OTHERS["llama"]), normal(2, 3, 4, seed=8)
    weights = {name: torch.tensor(np.array(p.value), requires_grad=True) for name, p in block.named_parameters()}

    def rms(x, name):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weights[f"{name}.weight"]

    def turned(x):
        angle = torch.arange(3.0)[:, None]
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)

    def reference(x):
        h = rms(x, "norm1")
        q, k, v = (
            (h @ weights[f"attention.{name}.weight"].T).unflatten(-1, (-1, 2)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        y = torch.nn.functional.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True, enable_gqa=True)
        x = x + y.transpose(1, 2).flatten(-2) @ weights["attention.output.weight"].T
        h = rms(x, "norm2")
        gate = torch.nn.functional.silu(h @ weights["mlp.gate.weight"].T)
        return x + (gate * (h @ weights["mlp.up.weight"].T)) @ weights["mlp.down.weight"].T

    by_torch(block, reference, x, weights={name: (tensor, lambda a: a) for name, tensor in weights.items()})


# -------------------------------------------------------------------- in models


def test_no_place_of_a_stack_of_causal_blocks_sees_a_later_one():
    mf.seed(0)
    model = mf.Sequential(*(mf.TransformerBlock(4, 2, causal=True, rotary=True) for _ in range(2)))
    x = mx.array(normal(1, 5, 4)).astype(mx.float32)
    y = model(x)
    dx = model.backward(mx.zeros((1, 5, 4)).at[:, 2].add(1.0))
    assert not mx.any(dx[:, 3:]) and bool(mx.all(dx[:, :3] != 0))
    close(model(x.at[:, 3:].add(9.0))[:, :3], y[:, :3], 1e-6)


def test_a_block_can_be_shared():
    block = mf.TransformerBlock(4, 2, 3, rotary=True)
    report = mf.check_gradients(mf.Sequential(block, block), normal(2, 3, 4))
    assert report.passed, report


def test_summary_names_its_parts_and_counts_their_work():
    model = mf.Sequential(mf.TransformerBlock(4, 2))
    found = model.summary((3, 4))
    names = {row.name for row in found.rows}
    assert {"0.norm1", "0.attention.query", "0.attention.attention", "0.mlp.up", "0.mlp.down"} <= names
    assert found.parameters == 4 * (4 * 4 + 4) + 2 * 2 * 4 + 2 * 4 * 16 + 16 + 4
    assert found.multiply_adds == 3 * (4 * 4 * 4 + 2 * 4 * 16) + 2 * 3 * 3 * 4


def test_a_compiled_fit_gives_the_weights_of_one_that_is_not():
    x, y = mx.array(normal(8, 5, 4)).astype(mx.float32), mx.array(normal(8, 5, 4, seed=1)).astype(mx.float32)
    found = []
    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.TransformerBlock(4, 2, causal=True, dropout=0.2), mf.TransformerBlock(4, 2))
        model.fit(x, y, loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=2, batch_size=4, verbose=0, compile=compile)
        found.append([p.value for p in model.parameters()])
    for a, b in zip(*found):
        close(a, b, 1e-5)


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(4, 6, 5)).astype(mx.float32).transpose(1, 2, 0)[::2, ::-1]
    block, copy = mf.TransformerBlock(4, 2), mx.contiguous(view)
    close(block(view), block(copy))
    close(block.backward(view), block.backward(copy))


# -------------------------------------------------------------------- an embedding's table as the last layer's weight


def tied():
    mf.seed(0)
    embedding = mf.Embedding(7, 4)
    embedding.weight.value = embedding.weight.value * 0.5
    model = mf.Sequential(embedding, mf.TransformerBlock(4, 2, 5, causal=True), mf.Linear(4, 7, bias=False))
    model[2].weight = embedding.weight
    return model


def test_a_table_that_two_layers_share_gets_both_gradients_and_one_step(tmp_path):
    model, x = tied(), np.array([[1, 2, 6], [0, 3, 3]])
    names = [name for name, _ in model.named_parameters()]
    assert names.count("0.weight") == 1 and "2.weight" not in names
    report = mf.check_gradients(model, x)
    assert report.passed, report
    table = torch.tensor(np.array(model[0].weight.value), requires_grad=True)
    block, weights = twin(model[1], activation="gelu")
    hidden = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
    by_torch(
        model,
        lambda x: block(table[x], hidden) @ table.T,
        x,
        weights={"0.weight": (table, lambda a: a), **{f"1.{name}": pair for name, pair in weights.items()}},
    )
    before, grad = model[0].weight.value, model[0].weight.grad
    mf.SGD(model, lr=0.1).step()
    assert model[0].weight is model[2].weight
    close(model[0].weight.value, before - 0.1 * grad, 1e-6)


def test_a_shared_table_is_shared_again_after_a_file(tmp_path):
    model, x = tied(), mx.array([[1, 2, 6], [0, 3, 3]])
    model.save(tmp_path / "tied")
    loaded = mf.load(tmp_path / "tied")
    assert loaded[0].weight is loaded[2].weight and mx.array_equal(loaded(x), model(x))
    model.save_weights(tmp_path / "weights")
    other = tied()
    other[0].weight.value = mx.zeros((7, 4))
    other.load_weights(tmp_path / "weights")
    assert mx.array_equal(other(x), model(x))


def test_a_shared_table_learns_in_a_compiled_fit():
    x, y = mx.array([[1, 2, 3, 4], [4, 3, 2, 1]]), mx.array([[2, 3, 4, 5], [3, 2, 1, 0]])
    found = []
    for compile in (True, False):
        model = tied()
        optimizer = mf.Adam(model, lr=0.02)
        history = model.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=40, verbose=0, compile=compile)
        assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
        assert model[0].weight is model[2].weight
        found.append(model[0].weight.value)
    close(*found, 1e-3)


# -------------------------------------------------------------------- errors


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.TransformerBlock(4, 2, norm_first=False).title() == "TransformerBlock(4, 2 heads, norm last)"
    with pytest.raises(ValueError, match="unknown norm 'batch'; known: layer, rms"):
        mf.TransformerBlock(4, 2, norm="batch")
    with pytest.raises(ValueError, match="unknown activation 'tanh'; known: relu, gelu, silu, swiglu"):
        mf.TransformerBlock(4, 2, activation="tanh")
    with pytest.raises(ValueError, match="embed_dim divisible by num_heads"):
        mf.TransformerBlock(4, 3)
    block = mf.TransformerBlock(4, 2)
    with pytest.raises(ValueError, match=r"expected sequences \(batch, length, 4\), got \(2, 3, 5\)"):
        block(mx.zeros((2, 3, 5)))
    with pytest.raises(TypeError, match="expected a mask of bools, got mlx.core.float32"):
        block(mx.zeros((2, 3, 4)), mx.zeros((2, 3, 4)))
