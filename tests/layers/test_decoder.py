"""The decoder's block against three witnesses, among them PyTorch's decoder layer with the same weights."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_mx_grad, by_torch, close, normal

import miniframe as mf

ZEROS = ("attention.key.bias", "cross.key.bias")  # they add the same to all scores of a query


def twin(block, activation):
    """PyTorch's layer with the weights of ours, and where it keeps the gradient of each of our parameters."""
    size, bias = block.embed_dim, block.cross.query.bias is not None
    module = torch.nn.TransformerDecoderLayer(
        size, block.num_heads, block.mlp["up"].out_features, 0.0, activation, norm_first=block.norm_first, bias=bias,
        batch_first=True,
    )  # fmt: skip
    found = {}
    for ours, attention in (("attention", module.self_attn), ("cross", module.multihead_attn)):
        for index, name in enumerate(("query", "key", "value")):
            place = slice(index * size, (index + 1) * size)
            found[f"{ours}.{name}.weight"] = (attention.in_proj_weight, lambda a, place=place: a[place])
            found[f"{ours}.{name}.bias"] = (attention.in_proj_bias, lambda a, place=place: a[place])
        found |= {f"{ours}.output.{kind}": (getattr(attention.out_proj, kind), lambda a: a) for kind in KINDS}
    inner = {"mlp.up": module.linear1, "mlp.down": module.linear2}
    inner |= {"norm1": module.norm1, "norm2": module.norm2, "norm3": module.norm3}
    found |= {f"{path}.{kind}": (getattr(layer, kind), lambda a: a) for path, layer in inner.items() for kind in KINDS}
    for seed, (name, parameter) in enumerate(block.named_parameters()):
        parameter.value = parameter.value + 0.1 * mx.array(normal(*parameter.shape, seed=seed)).astype(mx.float32)
        tensor, convert = found[name]
        with torch.no_grad():
            convert(tensor).copy_(torch.tensor(np.array(parameter.value)))
    return module, {name: found[name] for name, _ in block.named_parameters() if name not in ZEROS}


KINDS = ("weight", "bias")
LATER = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)


def passes(block, *inputs):
    report = mf.check_gradients(block, *inputs)
    assert report.passed, report
    assert all(np.abs(row.numeric).max() > 0 for row in report.rows if row.name not in ZEROS), report


@pytest.mark.parametrize("norm_first", [True, False], ids=["norm first", "norm last"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"activation": "relu"}], ids=["plain", "no bias", "relu"])
def test_it_agrees_with_three_witnesses(options, norm_first):
    mf.seed(1)
    block = mf.DecoderBlock(6, 2, 5, norm_first=norm_first, **options)
    module, weights = twin(block, options.get("activation", "gelu"))
    x, context = normal(2, 3, 6, seed=8), normal(2, 4, 6, seed=9)
    passes(block, x, context)
    by_torch(block, lambda x, c: module(x, c, tgt_mask=LATER), x, context, weights=weights)
    without = mf.DecoderBlock(6, 2, 5, norm_first=norm_first, bias=False)
    by_mx_grad(without, x, context)


@pytest.mark.parametrize("norm_first", [True, False], ids=["norm first", "norm last"])
def test_padding_in_the_context_agrees_with_three_witnesses_and_gets_no_gradient(norm_first):
    block = mf.DecoderBlock(6, 3, 5, norm_first=norm_first)
    module, weights = twin(block, "gelu")
    x, context = normal(2, 3, 6, seed=8), normal(2, 4, 6, seed=9)
    seen = np.array([[True, True, True, False], [True, True, False, False]])
    passes(block, x, context, seen)

    def run(x, context, seen):
        return module(x, context, tgt_mask=LATER, memory_key_padding_mask=~seen)

    by_torch(block, run, x, context, seen, weights=weights)
    block(*(mx.array(a, mx.float32) for a in (x, context)), mx.array(seen))
    _, dc, _ = block.backward(mx.array(normal(2, 3, 6), mx.float32))
    assert np.all(np.array(dc)[~seen] == 0) and np.all(np.array(dc)[seen] != 0)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_dropout_and_a_context_of_its_own_width_pass(training):
    mf.seed(1)
    block = mf.DecoderBlock(4, 2, 5, context_dim=3, dropout=0.3).train(training)
    passes(block, normal(2, 3, 4, seed=8), normal(2, 5, 3, seed=9))


def test_no_place_sees_a_later_one_and_all_see_the_whole_context():
    block = mf.DecoderBlock(6, 2)
    x, context = mx.array(normal(1, 4, 6), mx.float32), mx.array(normal(1, 3, 6), mx.float32)
    y = block(x, context)
    other = block(mx.concatenate([x[:, :2], x[:, 2:] + 1], axis=1), context)
    close(other[:, :2], y[:, :2])
    changed = block(x, mx.concatenate([context[:, :2], context[:, 2:] + 1], axis=1))
    assert mx.abs(changed - y).max(axis=(0, 2)).min().item() > 1e-4


def test_an_encoder_and_a_decoder_learn_to_turn_sequences_round():
    class Reverser(mf.Module):
        def __init__(self):
            self.tokens, self.places = mf.Embedding(6, 16), mf.PositionEmbedding(5, 16)
            self.encoder, self.decoder = mf.TransformerBlock(16, 2), mf.DecoderBlock(16, 2)
            self.head = mf.Linear(16, 6)

        def forward(self, source, written):
            context = self.encoder(self.places(self.tokens(source)))
            return self.head(self.decoder(self.places(self.tokens(written)), context))

    rng = np.random.default_rng(0)
    source = rng.integers(1, 6, (400, 5))
    target = source[:, ::-1].copy()
    written = np.concatenate([np.zeros((400, 1), int), target[:, :-1]], axis=1)
    mf.seed(0)
    model = Reverser()
    options = dict(loss="cross_entropy", epochs=12, batch_size=50, metrics=["accuracy"], verbose=0, seed=0)
    history = model.fit((source, written), target, optimizer=mf.Adam(model, lr=0.01), **options)
    assert history.history["accuracy"][-1] > 0.9


def test_files_summaries_and_titles_know_it(tmp_path):
    model = mf.DecoderBlock(4, 2, 5, context_dim=3, norm_first=False)
    model.save(tmp_path / "block")
    x, context = mx.array(normal(1, 2, 4), mx.float32), mx.array(normal(1, 3, 3), mx.float32)
    close(mf.load(tmp_path / "block")(x, context), model(x, context))
    assert model.title() == "DecoderBlock(4, 2 heads, norm last)"


def test_unsuitable_settings_and_inputs_are_refused():
    with pytest.raises(ValueError, match="DecoderBlock: unknown activation 'swiglu'; known: relu, gelu, silu"):
        mf.DecoderBlock(4, 2, activation="swiglu")
    block, x = mf.DecoderBlock(4, 2, context_dim=3), mx.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"expected sequences \(batch, length, 3\), got \(2, 5, 4\)"):
        block(x, mx.zeros((2, 5, 4)))
    with pytest.raises(TypeError, match="expected a mask of bools, got mlx.core.float32"):
        block(x, mx.zeros((2, 5, 3)), mx.ones((2, 5)))
