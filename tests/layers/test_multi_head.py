"""Multi-head attention against three witnesses, among them PyTorch's nn.MultiheadAttention with the same weights."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf
from miniframe.layers import MergeHeads, SplitHeads


def twin(layer, **options):
    """PyTorch's layer with the weights of ours."""
    bias = layer.query.bias is not None
    module = torch.nn.MultiheadAttention(layer.embed_dim, layer.num_heads, bias=bias, batch_first=True, **options)
    with torch.no_grad():
        for name, rows in zip(("query", "key", "value"), range(3)):
            inner, place = getattr(layer, name), slice(rows * layer.embed_dim, (rows + 1) * layer.embed_dim)
            module.in_proj_weight[place] = torch.tensor(np.array(inner.weight.value))
            if bias:
                module.in_proj_bias[place] = torch.tensor(np.array(inner.bias.value))
        module.out_proj.weight.copy_(torch.tensor(np.array(layer.output.weight.value)))
        if bias:
            module.out_proj.bias.copy_(torch.tensor(np.array(layer.output.bias.value)))
    return module


def weights(layer, module):
    """Where PyTorch keeps the gradient of each of our parameters."""
    size, found = layer.embed_dim, {}
    for index, name in enumerate(("query", "key", "value")):
        place = slice(index * size, (index + 1) * size)
        found[f"{name}.weight"] = (module.in_proj_weight, lambda a, place=place: a[place])
        found[f"{name}.bias"] = (module.in_proj_bias, lambda a, place=place: a[place])
    found["output.weight"] = (module.out_proj.weight, lambda a: a)
    found["output.bias"] = (module.out_proj.bias, lambda a: a)
    names = [name for name, _ in layer.named_parameters()]
    assert set(names) <= set(found) and len(names) in (4, 8)
    return {name: found[name] for name in names if name != ZERO}


ZERO = "key.bias"  # it adds the same to all scores of a query, so that nothing changes, unless rotary positions turn it


def passes(layer, *inputs):
    report = mf.check_gradients(layer, *inputs)
    assert report.passed, report
    assert all(np.abs(row.numeric).max() > 0 for row in report.rows if row.name != ZERO), report
    by_mx_grad(layer, *inputs, zero="" if layer.rotary else ZERO)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
@pytest.mark.parametrize("shape, heads", [((2, 3, 6), 3), ((1, 5, 4), 1), ((3, 2, 10), 2)], ids=str)
def test_among_themselves_it_agrees_with_three_witnesses(shape, heads, causal, bias, training):
    layer, x = mf.MultiHeadAttention(shape[-1], heads, causal=causal, bias=bias).train(training), normal(*shape)
    module = twin(layer)
    hidden = torch.triu(torch.ones(shape[1], shape[1], dtype=torch.bool), 1) if causal else None
    passes(layer, x)
    by_torch(
        layer,
        lambda x: module(x, x, x, attn_mask=hidden, need_weights=False)[0],
        x,
        weights=weights(layer, module),
    )


def test_to_a_context_it_agrees_with_three_witnesses():
    layer, inputs = mf.MultiHeadAttention(6, 2), [normal(2, 3, 6), normal(2, 5, 6, seed=1)]
    module = twin(layer)
    passes(layer, *inputs)
    by_torch(layer, lambda x, c: module(x, c, c)[0], *inputs, weights=weights(layer, module))


def test_a_context_may_have_features_of_its_own():
    layer, inputs = mf.MultiHeadAttention(6, 2, context_dim=5, bias=False), [normal(2, 3, 6), normal(2, 4, 5, seed=1)]
    module = torch.nn.MultiheadAttention(6, 2, bias=False, batch_first=True, kdim=5, vdim=5)
    theirs = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight, module.out_proj.weight)
    ours = dict(zip(("query.weight", "key.weight", "value.weight", "output.weight"), theirs))
    for name, parameter in layer.named_parameters():
        ours[name].data = torch.tensor(np.array(parameter.value))
    passes(layer, *inputs)
    pairs = {name: (tensor, lambda a: a) for name, tensor in ours.items()}
    by_torch(layer, lambda x, c: module(x, c, c)[0], *inputs, weights=pairs)


@pytest.mark.parametrize("with_context", [True, False], ids=["context", "no context"])
def test_padding_agrees_with_three_witnesses_and_gets_no_gradient(with_context):
    layer, x = mf.MultiHeadAttention(6, 3), normal(2, 4, 6)
    seen = np.array([[True, True, True, False], [True, False, False, False]])
    module = twin(layer)
    given = [normal(2, 4, 6, seed=1), seen] if with_context else [seen]
    passes(layer, x, *given)
    by_torch(
        layer,
        lambda x, *given: module(x, given[0] if with_context else x, given[0] if with_context else x,
                                 key_padding_mask=~given[-1])[0],
        x,
        *given,
        weights=weights(layer, module),
    )  # fmt: skip
    arrays = [mx.array(a.astype(np.float32)) if a.dtype.kind == "f" else mx.array(a) for a in (x, *given)]
    layer(*arrays)
    grads = layer.backward(mx.array(seen.astype(np.float32)[..., None] * np.ones(6, dtype=np.float32)))
    assert np.all(np.array(grads[1 if with_context else 0])[~seen] == 0)


def test_masks_for_each_sample_and_each_head_agree_with_pytorch():
    layer, x = mf.MultiHeadAttention(6, 2), normal(3, 4, 6)
    module = twin(layer)
    rng = np.random.default_rng(5)
    for shape in ((3, 2, 4, 4), (3, 4, 4), (1, 4, 4)):
        mask = (rng.uniform(size=shape) > 0.4) | np.eye(4, dtype=bool)
        passes(layer, x, mask)
        full = np.broadcast_to(mask if mask.ndim == 4 else mask[:, None], (3, 2, 4, 4)).reshape(6, 4, 4)

        def reference(x, mask, full=full):
            return module(x, x, x, attn_mask=torch.tensor(~full), need_weights=False)[0]

        by_torch(layer, reference, x, mask)


def test_a_learned_distance_for_each_head_is_added_to_the_scores():
    """Numbers for how far apart two places are, which learn: they get a gradient through the attention's scores."""

    class Relative(mf.Module):
        def __init__(self):
            self.attention = mf.MultiHeadAttention(6, 2, causal=True, bias=False)
            self.near = mf.Parameter(mx.array(normal(1, 2, 1, 1), mx.float32))
            self.apart = mx.array(-np.abs(np.subtract.outer(np.arange(3), np.arange(3))), mx.float32)[None, None]

        def forward(self, x, mask=None):
            return self.attention(x, mask=mask, bias=self.near * self.apart)

    layer, x = Relative(), normal(2, 3, 6)
    seen = np.array([[True, True, False], [True, True, True]])
    for given in ((x,), (x, seen)):
        report = mf.check_gradients(layer, *given)
        assert report.passed and all(np.abs(row.numeric).max() > 0 for row in report.rows), report
    with pytest.raises(ValueError, match="expected a bias .batch, heads, queries, keys., where any axis may be 1"):
        layer.attention(mx.zeros((2, 3, 6)), bias=mx.zeros((3, 3)))


def test_who_sees_nothing_gets_the_bias_and_no_nan():
    layer = mf.MultiHeadAttention(4, 2)
    x = mx.array(normal(2, 3, 4)).astype(mx.float32)
    y = layer(x, mask=mx.array([[False] * 3, [True] * 3]))
    close(y[0], mx.broadcast_to(layer.output.bias.value, (3, 4)), 1e-6)
    dx, _ = layer.backward(mx.ones((2, 3, 4)))
    assert not mx.any(dx[0]) and bool(mx.isfinite(dx).all())


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("options", [{"rotary": True}, {"causal": True, "rotary": mf.RotaryEmbedding(50.0, True)}, {}])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_heads_and_rotary_positions_agree_with_three_witnesses(kv_heads, options, training):
    layer, x = mf.MultiHeadAttention(8, 4, num_kv_heads=kv_heads, **options).train(training), normal(2, 3, 8)
    tensors = {name: torch.tensor(np.array(p.value), requires_grad=True) for name, p in layer.named_parameters()}
    biases = {name: tensors[f"{name}.bias"] for name in ("query", "key", "value", "output")}
    turn = options.get("rotary")
    turn = mf.RotaryEmbedding() if turn is True else turn

    def rotated(x):  # as a fixed matrix for each place: a rotation is linear
        if turn is None:
            return x
        places, size = x.shape[-2:]
        columns = [np.array(turn(mx.broadcast_to(mx.eye(size)[i], (1, places, size))))[0] for i in range(size)]
        return torch.einsum("nhtd,tde->nhte", x, torch.tensor(np.stack(columns, axis=1)))

    def reference(x):
        def heads(name):
            y = x @ tensors[f"{name}.weight"].T + biases[name]
            return y.unflatten(-1, (-1, 2)).transpose(1, 2)

        q, k, v = rotated(heads("query")), rotated(heads("key")), heads("value")
        y = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=options.get("causal", False), enable_gqa=True
        )
        return y.transpose(1, 2).flatten(-2) @ tensors["output.weight"].T + biases["output"]

    passes(layer, x)
    if turn is None:
        del tensors[ZERO]
    by_torch(layer, reference, x, weights={name: (tensor, lambda a: a) for name, tensor in tensors.items()})


def test_one_place_alone_passes():
    layer = mf.MultiHeadAttention(4, 2)
    report = mf.check_gradients(layer, normal(1, 1, 4))
    assert report.passed, report
    x = mx.array(normal(1, 1, 4)).astype(mx.float32)
    close(layer(x), layer.output(layer.value(x)), 1e-6)


def test_dropped_weights_are_dropped_in_backward_too():
    layer, x = mf.MultiHeadAttention(6, 2, dropout=0.4), normal(2, 5, 6)
    passes(layer, x)
    array = mx.array(x.astype(np.float32))
    first = layer(array)
    assert not mx.array_equal(layer(array), first)
    layer.eval()
    assert mx.array_equal(layer(array), layer(array))


# -------------------------------------------------------------------- in models


def test_in_a_model_its_steps_are_seen_and_it_can_be_shared():
    layer = mf.MultiHeadAttention(4, 2, rotary=True)
    model = mf.Sequential(layer, mf.Tanh(), layer)
    passes_twice = mf.check_gradients(model, normal(2, 3, 4))
    assert passes_twice.passed, passes_twice
    rows = mf.Sequential(layer).summary((3, 4)).rows
    names = [row.name for row in rows]
    assert {"0.query", "0.split", "0.rotary", "0.attention", "0.merge", "0.output"} <= set(names)
    by_name = {row.name: row for row in rows}
    assert by_name["0.attention"].output_shape == (2, 3, 2) and by_name["0.attention"].multiply_adds == 2 * 3 * 3 * 4
    assert sum(row.parameters for row in rows) == 4 * (4 * 4 + 4)


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(4, 6, 5)).astype(mx.float32).transpose(1, 2, 0)[::2, ::-1]
    layer, copy = mf.MultiHeadAttention(4, 2, causal=True), mx.contiguous(view)
    close(layer(view), layer(copy), 1e-6)
    close(layer.backward(view), layer.backward(copy), 1e-6)


def test_it_also_runs_where_nothing_is_recorded_and_in_a_graph():
    layer, x = mf.MultiHeadAttention(4, 2), mx.array(normal(2, 3, 4)).astype(mx.float32)
    mask = mx.array([[True, False, True], [True, True, True]])
    y = layer(x, mask)
    with mf.no_grad():
        assert mx.array_equal(layer(x, mask), y)
    given, seen = mf.Input((3, 4)), mf.Input((3,), dtype=mx.bool_)
    graph = mf.Graph([given, seen], layer(given, mask=seen))
    assert mx.array_equal(graph(x, mask), y)


def test_a_compiled_fit_gives_the_weights_of_one_that_is_not():
    x, y = mx.array(normal(8, 5, 4)).astype(mx.float32), mx.array(normal(8, 5, 4, seed=1)).astype(mx.float32)
    found = []
    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.MultiHeadAttention(4, 2, num_kv_heads=1, causal=True, dropout=0.2, rotary=True))
        model.fit(x, y, loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=2, batch_size=4, verbose=0, compile=compile)
        found.append([p.value for p in model.parameters()])
    for a, b in zip(*found):
        close(a, b, 1e-5)


# -------------------------------------------------------------------- heads


def test_heads_are_split_and_merged_back():
    x = normal(2, 3, 6)
    by_differences(SplitHeads(2), x)
    by_torch(SplitHeads(2), lambda x: x.unflatten(-1, (3, 2)).transpose(1, 2), x)
    by_mx_grad(MergeHeads(), normal(2, 3, 4, 2))
    by_torch(MergeHeads(), lambda x: x.transpose(1, 2).flatten(-2), normal(2, 3, 4, 2))
    assert mx.array_equal(MergeHeads()(SplitHeads(2)(mx.array(x))), mx.array(x))


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda: mf.MultiHeadAttention(6, 4), r"embed_dim divisible by num_heads, .*, got 6, 4 and 4"),
        (lambda: mf.MultiHeadAttention(8, 4, num_kv_heads=3), r"num_heads by num_kv_heads, got 8, 4 and 3"),
        (lambda: mf.MultiHeadAttention(6, 2, rotary=True), r"an even number of features .*, got 6 / 2 = 3"),
        (
            lambda: mf.MultiHeadAttention(4, 2)(mx.zeros((2, 3, 5))),
            r"MultiHeadAttention\(4, 2 heads\): expected sequences \(batch, length, 4\), got \(2, 3, 5\)",
        ),
        (
            lambda: mf.MultiHeadAttention(4, 2)(mx.zeros((3, 4))),
            r"sequences \(batch, length, 4\), got \(3, 4\); a single one needs a batch axis: x\[None\]",
        ),
        (
            lambda: mf.MultiHeadAttention(4, 2, context_dim=6)(mx.zeros((2, 3, 6))),
            r"sequences \(batch, length, 4\), got \(2, 3, 6\)",
        ),
        (
            lambda: mf.MultiHeadAttention(4, 2, context_dim=6)(mx.zeros((2, 3, 4)), mx.zeros((2, 5, 4))),
            r"sequences \(batch, length, 6\), got \(2, 5, 4\)",
        ),
        (
            lambda: mf.MultiHeadAttention(4, 2)(mx.zeros((2, 3, 4)), mx.ones((2, 5), dtype=mx.bool_)),
            r"expected a mask that broadcasts to \(2, 2, 3, 3\), got \(2, 1, 1, 5\)",
        ),
        (lambda: SplitHeads(0), "expected head_dim >= 1, got 0"),
        (lambda: SplitHeads(4)(mx.zeros((2, 3, 6))), r"\(batch, length, a multiple of 4\), got \(2, 3, 6\)"),
        (lambda: MergeHeads()(mx.zeros((2, 3, 6))), r"\(batch, heads, length, features\), got \(2, 3, 6\)"),
    ],
)
def test_unsuitable_settings_and_inputs_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_a_mask_of_numbers_is_refused_with_a_remedy():
    layer, x = mf.MultiHeadAttention(4, 2), mx.zeros((2, 3, 4))
    with pytest.raises(TypeError, match=r"expected a mask of bools, got mlx.core.int32; use mask.astype\(mx.bool_\)"):
        layer(x, mask=mx.ones((2, 3), dtype=mx.int32))
    same = layer(x, mask=mx.array([[True, True, False]]))
    for mask in ([[True, True, False]], np.array([[True, True, False]])):
        assert mx.array_equal(layer(x, mask=mask), same) and mx.array_equal(layer(x, mask), same)


def test_titles_name_the_heads():
    assert mf.MultiHeadAttention(8, 4).title() == "MultiHeadAttention(8, 4 heads)"
    assert mf.MultiHeadAttention(8, 4, 2).title() == "MultiHeadAttention(8, 4 heads, 2 of keys)"
