"""Attention with PyTorch's masks, of bools and of numbers: the same outputs and gradients here, and back in PyTorch."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close
from torch import nn
from torch_nets import same

import miniframe as mf
from miniframe import interop
from miniframe.interop.sequences import unpacked

torch.set_num_threads(1)
N, T, S, D = 3, 4, 5, 8
PAD = torch.tensor([[False, False, False, False], [False, False, True, True], [False, False, False, True]])
CONTEXT_PAD = torch.tensor([[False, False, False, True, True], [False] * 5, [False, True, False, True, False]])


@pytest.fixture(autouse=True)
def the_same_numbers_every_time():
    torch.manual_seed(0)


class Says(nn.Module):
    """A module of two inputs whose forward is a function."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, torch.Tensor):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.function = function

    def forward(self, x, z):
        y = self.function(self, x, z)
        return (y[0] + 0 * z.float().mean(), y[1]) if isinstance(y, tuple) else y + 0 * z.float().mean()


def there_and_back(module, *tensors):
    """The same numbers and gradients here, and in what goes back to PyTorch."""
    for training in (False, True):
        module.train(training)
        model = interop.from_torch(module, tensors)
        same_in_blocks(model, module, *tensors)
        returned = interop.to_torch(model)
        assert returned.training is training
        for a, b in zip(as_tuple(returned(*tensors)), as_tuple(module(*tensors)), strict=True):
            close(a, b)
        same(interop.from_torch(returned, tensors), returned, *tensors)


def same_in_blocks(model, module, *tensors):
    """Also of the parts of attention and blocks, which have other names here."""
    same(model, module, *tensors)
    grads = {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
    ours = dict(model.named_parameters())
    theirs = unpacked(grads, ours, lambda a: tuple(np.split(a, 3)))
    largest = max(np.abs(grad).max() for grad in theirs.values())
    assert set(ours) >= set(theirs)
    for name, grad in theirs.items():
        assert np.abs(np.array(ours[name].grad) - grad).max() <= 1e-5 * largest, name


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def parts(output):
    return output[0], output[1]


LATER = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
LATER_NUMBERS = nn.Transformer.generate_square_subsequent_mask(T)
DISTANCE = -(torch.arange(T)[:, None] - torch.arange(T)).abs().float()

MULTI_HEAD = {  # the second input is a padding mask
    "later hidden by bools": lambda m, x, pad: m.mha(x, x, x, attn_mask=m.later)[0],
    "later hidden by numbers": lambda m, x, pad: m.mha(x, x, x, attn_mask=m.numbers, need_weights=False)[0],
    "told that it is causal": lambda m, x, pad: m.mha(x, x, x, attn_mask=m.numbers, is_causal=True)[0],
    "distances added": lambda m, x, pad: m.mha(x, x, x, attn_mask=m.distance)[0],
    "padding": lambda m, x, pad: m.mha(x, x, x, key_padding_mask=pad)[0],
    "padding and later": lambda m, x, pad: m.mha(x, x, x, key_padding_mask=pad, attn_mask=m.later)[0],
    "padding and distances": lambda m, x, pad: m.mha(x, x, x, pad, attn_mask=m.distance)[0],
    "padding by numbers": lambda m, x, pad: m.mha(x, x, x, pad.float() * -3, attn_mask=m.distance)[0],
    "padding that is computed": lambda m, x, pad: m.mha(x, x, x, key_padding_mask=x[:, :, 0] > 0.9)[0],
    "weights, too": lambda m, x, pad: parts(m.mha(x, x, x, pad, attn_mask=m.distance)),
    "weights of each head": lambda m, x, pad: parts(m.mha(x, x, x, pad, average_attn_weights=False)),
    "places in queries and keys alone": lambda m, x, pad: m.mha(x + m.places, x + m.places, x, pad)[0],
}


@pytest.mark.parametrize("name", MULTI_HEAD)
def test_multi_head_attention_takes_every_kind_of_mask(name):
    masks = {"later": LATER, "numbers": LATER_NUMBERS, "distance": DISTANCE, "places": torch.randn(T, D)}
    module = Says(MULTI_HEAD[name], mha=nn.MultiheadAttention(D, 2, batch_first=True), **masks)
    there_and_back(module, torch.randn(N, T, D), PAD)


def test_a_mask_for_each_sample_and_head():
    module = Says(
        lambda m, x, masks: m.mha(x, x, x, attn_mask=masks.flatten(0, 1))[0],
        mha=nn.MultiheadAttention(D, 2, batch_first=True),
    )
    masks = torch.rand(N, 2, T, T) > 0.6
    masks[..., 0] = False
    model = interop.from_torch(module, (torch.randn(N, T, D), masks))
    x = torch.randn(N, T, D)
    turned = masks.permute(0, 2, 3, 1)  # four axes are taken for an image's
    close(model(mx.array(x.numpy()), mx.array(turned.numpy())), module(x, masks))


def test_attention_to_a_context_with_the_batch_on_the_second_axis():
    module = Says(
        lambda m, x, z: m.mha(x, z, z * 2, attn_mask=m.later)[0], mha=nn.MultiheadAttention(D, 2), later=LATER
    )
    there_and_back(module, torch.randn(T, N, D), torch.randn(T, N, D))


FUNCTION = {  # the second input is of bools (N, 1, 1, T) or numbers
    "bools": (lambda m, q, z: F.scaled_dot_product_attention(q, q, q, m.shown), torch.randn(N, T, D)),
    "numbers": (lambda m, q, z: F.scaled_dot_product_attention(q, q, q, m.distance, scale=0.3), torch.randn(N, T, D)),
    "computed numbers": (lambda m, q, z: F.scaled_dot_product_attention(q, z, z, q @ z.mT), torch.randn(N, S, D)),
    "computed bools": (lambda m, q, z: F.scaled_dot_product_attention(q, z, z, q @ z.mT > -2), torch.randn(N, S, D)),
    "causal, more keys": (
        lambda m, q, z: F.scaled_dot_product_attention(q, z, z, is_causal=True),
        torch.randn(N, S, D),
    ),
}


@pytest.mark.parametrize("name", FUNCTION)
def test_the_function_takes_every_kind_of_mask(name):
    function, z = FUNCTION[name]
    module = Says(
        lambda m, x, z: function(m, m.fc(x), z) + z.mean(), fc=nn.Linear(D, D), shown=~LATER, distance=DISTANCE
    )
    there_and_back(module, torch.randn(N, T, D), z)


def options(**more):
    return {"d_model": D, "nhead": 2, "dim_feedforward": 12, "dropout": 0.0, **more}


@pytest.mark.parametrize("norm_first, batch_first", [(True, True), (False, True), (False, False)])
def test_encoders_take_masks(norm_first, batch_first):
    layer = nn.TransformerEncoderLayer(**options(norm_first=norm_first, batch_first=batch_first))
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(D), enable_nested_tensor=False)

    def run(m, x, pad):
        x = x if batch_first else x.transpose(0, 1)
        y = m.encoder(m.layer(x, m.later, pad), mask=m.later, src_key_padding_mask=pad, is_causal=True)
        return y if batch_first else y.transpose(0, 1)

    module = Says(run, encoder=encoder, layer=layer, later=LATER_NUMBERS)
    there_and_back(module, torch.randn(N, T, D), PAD.float() * -50)  # where all are hidden, PyTorch has NaN


def test_padding_that_pytorchs_fast_path_leaves_out_is_computed():
    layer = nn.TransformerEncoderLayer(**options(batch_first=True))
    module = Says(lambda m, x, pad: m.encoder(x, src_key_padding_mask=pad), encoder=nn.TransformerEncoder(layer, 2))
    x = torch.randn(N, T, D)
    model = interop.from_torch(module.eval(), (x, PAD))
    same(model, module, x, PAD)  # with gradients, there is no fast path
    with torch.no_grad():
        fast = module(x, PAD)
    real = ~PAD.numpy()
    close(np.array(model(mx.array(x.numpy()), mx.array(PAD.numpy())))[real], fast.numpy()[real])


@pytest.mark.parametrize("norm_first, batch_first", [(True, True), (False, False)])
def test_decoders_take_masks(norm_first, batch_first):
    layer = nn.TransformerDecoderLayer(**options(norm_first=norm_first, batch_first=batch_first))
    decoder = nn.TransformerDecoder(layer, 2, nn.LayerNorm(D))

    def run(m, x, z):
        x, z = (x, z) if batch_first else (x.transpose(0, 1), z.transpose(0, 1))
        y = m.decoder(m.layer(x, z), z, tgt_mask=m.later, memory_mask=m.some, tgt_is_causal=True)
        return y if batch_first else y.transpose(0, 1)

    some = torch.rand(T, S) > 0.7
    module = Says(run, decoder=decoder, layer=layer, later=LATER_NUMBERS, some=some & (torch.arange(S) > 0))
    there_and_back(module, torch.randn(N, T, D), torch.randn(N, S, D))


def test_padding_of_what_is_read_and_of_what_is_written(tmp_path):
    class Translation(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(9, D, padding_idx=0)
            self.transformer = nn.Transformer(**options(num_encoder_layers=1, num_decoder_layers=2, batch_first=True))
            self.last = nn.Linear(D, 9)

        def forward(self, read, written):
            later = nn.Transformer.generate_square_subsequent_mask(written.shape[1])
            y = self.transformer(
                self.words(read), self.words(written), tgt_mask=later, tgt_key_padding_mask=written == 0,
                src_key_padding_mask=read == 0, memory_key_padding_mask=read == 0, tgt_is_causal=True,
            )  # fmt: skip
            return self.last(y)

    module = Translation()
    read = torch.tensor([[3, 4, 5, 0, 0], [1, 2, 3, 4, 5], [8, 7, 0, 0, 0]])
    written = torch.tensor([[1, 4, 5, 6], [1, 2, 0, 0], [1, 3, 3, 0]])
    model = interop.from_torch(module, (read, written))
    same_in_blocks(model.eval(), module.eval(), read, written)
    assert "transformer.decoder.layers.1.cross.key.weight" in dict(model.named_parameters())
    close(interop.to_torch(model)(read, written), module(read, written))
    runtime = pytest.importorskip("onnxruntime")
    arrays = tuple(mx.array(part.numpy().astype(np.int32)) for part in (read, written))
    model.export(tmp_path / "translation.onnx", arrays)
    session = runtime.InferenceSession(tmp_path / "translation.onnx")
    given = {part.name: np.array(x)[:2] for part, x in zip(session.get_inputs(), arrays)}
    close(session.run(None, given)[0], module(read[:2], written[:2]))


def test_whole_layers_and_stacks_come_without_a_module_around_them():
    decoder = nn.TransformerDecoderLayer(**options(batch_first=True))
    block = interop.from_torch(decoder)
    assert type(block) is mf.DecoderBlock
    x, z = torch.randn(N, T, D), torch.randn(N, S, D)
    same_in_blocks(block, decoder, x, z)
    returned = interop.to_torch(block)
    close(returned(x, z), decoder(x, z))
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**options()), 2, enable_nested_tensor=False)
    same_in_blocks(interop.from_torch(encoder, torch.randn(T, N, D)), encoder, torch.randn(T, N, D))
    stack = nn.TransformerDecoder(nn.TransformerDecoderLayer(**options(batch_first=True)), 2)
    same_in_blocks(interop.from_torch(stack, (x, z)), stack, x, z)


def test_a_sequence_without_a_batch_is_refused():
    module = Says(lambda m, x, z: m.mha(x, z, z)[0], mha=nn.MultiheadAttention(D, 2))
    with pytest.raises(ValueError, match=r"no counterpart for 'mha' \(a sequence without a batch\)"):
        interop.from_torch(module, (torch.randn(T, D), torch.randn(S, D)))
