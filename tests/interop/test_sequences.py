"""Transformers to PyTorch and back: the same outputs, the same gradients, not a bit lost on the way."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close, normal
from torch import nn

import miniframe as mf
from miniframe import interop


def same(model, module, x, tolerance=1e-5):
    """Outputs and gradients of both agree; ``module`` is called with x alone."""
    array = mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x)
    tensor = torch.tensor(np.array(array)).requires_grad_(x.dtype.kind == "f")
    if not tensor.is_floating_point():
        tensor = tensor.long()
    model.zero_grad()
    y, expected = model(array), module(tensor)
    expected = expected[0] if isinstance(expected, tuple) else expected
    close(y, expected, tolerance)
    upstream = normal(*y.shape, seed=2).astype(np.float32)
    dx = model.backward(mx.array(upstream))
    expected.backward(torch.tensor(upstream))
    if tensor.is_floating_point():
        close(dx, tensor.grad, tolerance)


def gradients(model, names):
    named = dict(model.named_parameters())
    return np.concatenate([np.array(named[name].grad) for name in names])


@pytest.mark.parametrize("bias", [True, False])
def test_multi_head_attention_comes_from_pytorch(bias):
    theirs = nn.MultiheadAttention(6, 3, bias=bias, batch_first=True)
    for parameter in theirs.parameters():
        parameter.data = parameter.data + 0.1
    model = interop.from_torch(theirs)
    assert isinstance(model, mf.MultiHeadAttention) and model.num_heads == 3
    same(model, lambda x: theirs(x, x, x), normal(2, 4, 6))
    close(gradients(model, ["query.weight", "key.weight", "value.weight"]), theirs.in_proj_weight.grad)
    close(model.output.weight.grad, theirs.out_proj.weight.grad)
    if bias:
        close(gradients(model, ["query.bias", "key.bias", "value.bias"]), theirs.in_proj_bias.grad)


def test_attention_to_a_context_of_another_size_comes_from_pytorch():
    theirs = nn.MultiheadAttention(6, 2, kdim=5, vdim=5, batch_first=True)
    model = interop.from_torch(theirs)
    x, context = normal(2, 3, 6).astype(np.float32), normal(2, 4, 5, seed=1).astype(np.float32)
    expected, _ = theirs(torch.tensor(x), torch.tensor(context), torch.tensor(context))
    close(model(mx.array(x), mx.array(context)), expected)


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu", nn.functional.gelu, nn.ReLU()], ids=str)
def test_encoder_layers_come_from_pytorch_and_go_back(activation, bias, norm_first):
    theirs = nn.Sequential(
        *(
            nn.TransformerEncoderLayer(
                6, 2, 5, 0.0, activation, 0.01, batch_first=True, norm_first=norm_first, bias=bias
            )
            for _ in range(2)
        ),
        nn.Linear(6, 3),
    )
    model = interop.from_torch(theirs)
    assert isinstance(model[0], mf.TransformerBlock) and model[0].norm_first is norm_first
    x = normal(2, 4, 6)
    same(model, theirs, x)
    close(gradients(model, [f"1.attention.{n}.weight" for n in ("query", "key", "value")]),
          theirs[1].self_attn.in_proj_weight.grad)  # fmt: skip
    close(model[1].mlp["up"].weight.grad, theirs[1].linear1.weight.grad)
    close(model[0].norm2.weight.grad, theirs[0].norm2.weight.grad)
    back = interop.to_torch(model)
    same(model, back, x)
    assert set(back.state_dict()) == {name for name, _ in model.named_parameters()}


def test_weights_alone_are_loaded_into_a_model_with_names_of_its_own():
    theirs = nn.ModuleDict({"first": nn.TransformerEncoderLayer(4, 2, 5, batch_first=True), "last": nn.Linear(4, 3)})
    model = mf.Sequential({"first": mf.TransformerBlock(4, 2, 5, norm_first=False), "last": mf.Linear(4, 3)})
    report = interop.load_torch_weights(model, theirs.state_dict())
    assert report.complete and len(report.loaded) == 18
    close(model["first"].attention.key.weight.value, theirs["first"].self_attn.in_proj_weight[4:8])
    close(model["first"].mlp["down"].bias.value, theirs["first"].linear2.bias)


def test_a_decoders_weights_are_loaded():
    theirs = nn.TransformerDecoderLayer(4, 2, 5, 0.0, batch_first=True)
    block = mf.DecoderBlock(4, 2, 5, norm_first=False, activation="relu")
    report = interop.load_torch_weights(block, theirs.state_dict())
    assert report.complete and len(report.loaded) == 26
    x, context = (normal(2, 3, 4, seed=k).astype(np.float32) for k in (1, 2))
    later = nn.Transformer.generate_square_subsequent_mask(3)
    close(block(mx.array(x), mx.array(context)), theirs(torch.tensor(x), torch.tensor(context), tgt_mask=later))


def test_frozen_parts_stay_frozen():
    theirs = nn.TransformerEncoderLayer(4, 2, 5, batch_first=True)
    theirs.self_attn.in_proj_weight.requires_grad_(False)
    theirs.linear2.bias.requires_grad_(False)
    frozen = {name for name, p in interop.from_torch(theirs).named_parameters() if not p.trainable}
    assert frozen == {f"attention.{n}.weight" for n in ("query", "key", "value")} | {"mlp.down.bias"}


def gpt(**options):
    mf.seed(3)
    return mf.Sequential(
        mf.Embedding(7, 4),
        mf.PositionEmbedding(6, 4),
        mf.TransformerBlock(4, 2, 5, causal=True, **options),
        mf.LayerNorm(4),
        mf.Linear(4, 7, bias=False),
    )


LLAMA = dict(norm="rms", activation="swiglu", rotary=True, bias=False, num_kv_heads=1)
MODELS = {
    "gpt": (gpt, np.array([[1, 2, 6], [0, 3, 3]])),
    "llama": (lambda: gpt(**LLAMA), np.array([[1, 2, 6], [0, 3, 3]])),
    "neighbours": (lambda: gpt(rotary=mf.RotaryEmbedding(50.0, True)), np.array([[1, 2, 6]])),
    "waves": (lambda: mf.Sequential(mf.SinePositionEncoding(), mf.MultiHeadAttention(4, 2)), normal(2, 5, 4)),
    "learned positions": (lambda: mf.PositionEmbedding(6, 4), normal(2, 5, 4)),
    "gated": (lambda: mf.GatedMLP(4, 3), normal(2, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_go_to_pytorch_and_back(name):
    make, x = MODELS[name]
    model = make()
    theirs = interop.to_torch(model)
    same(model, theirs, x)
    back = interop.from_torch(theirs)
    before = {n: p.value for n, p in model.named_parameters()}
    assert set(before) == {n for n, _ in back.named_parameters()}
    array = mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x)
    assert mx.array_equal(back(array), model(array))
    for n, p in back.named_parameters():
        p.value = p.value + 1
        assert mx.array_equal(dict(model.named_parameters())[n].value, before[n]), "the two share their weights"


def test_a_table_shared_with_the_last_layer_is_shared_there_too():
    model, x = gpt(), np.array([[1, 2, 3]])
    model[4].weight = model[0].weight
    theirs = interop.to_torch(model)
    assert theirs[4].weight is theirs[0].weight
    same(model, theirs, x)
    close(model[0].weight.grad, theirs[0].weight.grad)
    back = interop.from_torch(theirs)
    assert back[4].weight is back[0].weight and back[0].weight is not model[0].weight
    assert mx.array_equal(back(mx.array(x)), model(mx.array(x)))
    assert [name for name, _ in back.named_parameters()] == [name for name, _ in model.named_parameters()]


def test_masks_contexts_and_given_places_are_handed_on():
    x, context = normal(2, 3, 4).astype(np.float32), normal(2, 5, 4, seed=1).astype(np.float32)
    mask = np.array([[True, True, False, True, False], [True, False, False, False, False]])
    model = mf.MultiHeadAttention(4, 2, num_kv_heads=1)
    found = interop.to_torch(model)(torch.tensor(x), torch.tensor(context), torch.tensor(mask))
    close(found, model(mx.array(x), mx.array(context), mx.array(mask)))
    bias = normal(1, 2, 3, 1).astype(np.float32)
    found = interop.to_torch(mf.ScaledDotProductAttention())(*(torch.tensor(a) for a in (x[:, None],) * 3),
                                                             torch.tensor(True), torch.tensor(bias[:, :1]))  # fmt: skip
    close(found, mf.ScaledDotProductAttention()(*(mx.array(x[:, None]),) * 3, bias=mx.array(bias[:, :1])))
    for layer in (mf.RotaryEmbedding(), mf.SinePositionEncoding(), mf.PositionEmbedding(9, 4)):
        places = np.array([[3, 1, 8], [0, 0, 2]])
        found = interop.to_torch(layer)(torch.tensor(x), torch.tensor(places))
        close(found, layer(mx.array(x), mx.array(places)))


@pytest.mark.parametrize(
    "module, message",
    [
        (nn.MultiheadAttention(4, 2), "batch_first=True"),
        (nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True), "add_bias_kv=False"),
        (nn.MultiheadAttention(4, 2, batch_first=True, kdim=3), "keys of 3 and values of 4 features"),
        (nn.TransformerEncoderLayer(4, 2), "batch_first=True and relu or gelu only"),
        (nn.TransformerEncoderLayer(4, 2, activation=torch.tanh, batch_first=True), "relu or gelu only, got tanh"),
    ],
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)
def test_what_has_no_counterpart_is_refused(module, message):
    with pytest.raises(ValueError, match=message):
        interop.from_torch(module)
