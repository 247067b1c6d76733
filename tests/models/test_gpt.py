"""GPT: its derivative as a whole, its beginning, and the texts that it writes."""

import threading

import mlx.core as mx
import numpy as np
import pytest
import torch

import miniframe as mf
from miniframe.layers.memory import remembering
from miniframe.models import GPT


def small(seed=0, **options):
    mf.seed(seed)
    settings = {"vocabulary": 11, "context": 8, "embed_dim": 8, "num_heads": 2, "num_layers": 2, **options}
    return GPT(**settings)


@pytest.mark.parametrize("options", [{"tied": True}, {"tied": False}, {"rotary": True}])
def test_the_whole_model_passes_the_gradient_check(options):
    model = small(**options)
    report = mf.check_gradients(model, np.array([[1, 5, 0, 10], [3, 3, 2, 7]]), loss=None)
    assert report.passed, report


def test_losses_and_gradients_are_those_of_pytorch():
    model = small(context=6, num_heads=1, num_layers=1, embed_dim=4)
    x, y = np.array([[1, 5, 0, 10], [3, 3, 2, 7]]), np.array([[5, 0, 10, 2], [3, 2, 7, 1]])
    loss = mf.CrossEntropyLoss(model)
    value = loss(model(mx.array(x)), mx.array(y)).item()
    loss.backward()
    p = {name: torch.tensor(np.array(q.value), requires_grad=True) for name, q in model.named_parameters()}
    F = torch.nn.functional
    table = p.get("tokens.weight", p.get("head.weight"))
    h = table[torch.tensor(x)] + p["positions.table.weight"][:4]
    n = F.layer_norm(h, (4,), p["blocks.0.norm1.weight"], p["blocks.0.norm1.bias"])
    q, k, v = (
        F.linear(n, p[f"blocks.0.attention.{part}.weight"], p[f"blocks.0.attention.{part}.bias"])
        for part in ("query", "key", "value")
    )
    a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    h = h + F.linear(a, p["blocks.0.attention.output.weight"], p["blocks.0.attention.output.bias"])
    n = F.layer_norm(h, (4,), p["blocks.0.norm2.weight"], p["blocks.0.norm2.bias"])
    n = F.gelu(F.linear(n, p["blocks.0.mlp.up.weight"], p["blocks.0.mlp.up.bias"]))
    h = h + F.linear(n, p["blocks.0.mlp.down.weight"], p["blocks.0.mlp.down.bias"])
    logits = F.layer_norm(h, (4,), p["norm.weight"], p["norm.bias"]) @ table.T
    theirs = F.cross_entropy(logits.flatten(0, 1), torch.tensor(y).flatten())
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        assert np.array(parameter.grad) == pytest.approx(p[name].grad.numpy(), rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize("rotary", [False, True])
def test_no_place_sees_a_later_one(rotary):
    model = small(rotary=rotary).eval()
    x = mx.array([[1, 2, 3, 4, 5]])
    y = model(x)
    changed = model(mx.array([[1, 2, 3, 9, 9]]))
    assert mx.array_equal(y[:, :3], changed[:, :3]) and not mx.allclose(y[:, 3:], changed[:, 3:], atol=1e-3)


def test_rotary_positions_need_no_table_and_tell_the_order():
    model = small(rotary=True).eval()
    assert model.positions is None and not any("positions" in name for name, _ in model.named_parameters())
    y, other = model(mx.array([[1, 2, 3, 4]])), model(mx.array([[2, 1, 3, 4]]))
    assert not mx.allclose(y[:, 2:], other[:, 2:], atol=1e-3)


@pytest.mark.parametrize("width", [16, 256])
def test_it_begins_with_no_token_much_likelier_than_another(width):
    model = GPT(50, context=16, embed_dim=width, num_heads=4, num_layers=2)
    x, y = mx.array(np.random.default_rng(0).integers(0, 50, (2, 4, 16)))
    assert model(x).std().item() == pytest.approx(0.4**0.5, rel=0.2)  # at any width: logits of variance 2/5
    assert mf.CrossEntropyLoss()(model(x), y).item() == pytest.approx(np.log(50) + 0.2, abs=0.15)


def test_its_size():
    assert sum(p.size for p in mf.models.gpt().parameters()) == 462_912


def test_a_tied_head_has_the_table_after_a_file_too(tmp_path):
    model = small()
    model.save(tmp_path / "gpt")
    again = mf.load(tmp_path / "gpt")
    assert again.head.weight is again.tokens.weight
    assert again.generate([1, 2], 6, seed=0).tolist() == model.generate([1, 2], 6, seed=0).tolist()


def test_it_learns_a_sentence_by_heart_and_says_it():
    text = [3, 1, 4, 1, 5, 9, 2, 6]
    model = small(embed_dim=16)
    x, y = mx.array([text[:-1]] * 4), mx.array([text[1:]] * 4)
    model.fit(x, y, loss="cross_entropy", optimizer=mf.AdamW(model, lr=0.02), epochs=40, compile=False, verbose=0)
    assert model.generate([3, 1, 4], 5, temperature=0).tolist() == text


# -------------------------------------------------------------------- what it writes


@pytest.mark.parametrize("options", [{}, {"tied": False, "num_heads": 4}, {"rotary": True}])
@pytest.mark.parametrize("prompt", [[1], [1, 2, 3], [[1, 2], [7, 8], [0, 0]], list(range(10)) * 3])
@pytest.mark.parametrize("how", [{}, {"temperature": 0}, {"temperature": 0.5, "top_k": 3}])
def test_the_tokens_are_the_same_without_the_cache(options, prompt, how):
    model = small(**options)
    written = model.generate(prompt, 25, seed=3, **how)  # beyond the context of 8, too
    assert written.tolist() == model.generate(prompt, 25, seed=3, cache=False, **how).tolist()
    assert written.shape == (*np.shape(prompt)[:-1], np.shape(prompt)[-1] + 25)
    assert written[..., : np.shape(prompt)[-1]].tolist() == prompt


def test_within_the_context_each_token_is_drawn_from_the_models_own_probabilities():
    model = small().eval()
    text = model.generate([1, 2], 6, temperature=0)
    assert model(text[None])[0].argmax(axis=-1)[1:-1].tolist() == text[2:].tolist()


def test_draws_follow_temperature_and_top_k():
    model = small(context=2)
    logits = np.array(model.eval()(mx.array([[4]])))[0, 0]
    many = mx.array([[4]] * 4000)
    drawn = np.bincount(np.array(model.generate(many, 1, temperature=2.0, seed=0))[:, 1], minlength=11) / 4000
    expected = np.exp(logits / 2) / np.exp(logits / 2).sum()
    assert np.abs(drawn - expected).max() < 0.03
    best = set(np.argsort(logits)[-3:].tolist())
    assert set(model.generate(many, 1, top_k=3, seed=0)[:, 1].tolist()) == best


def test_a_seed_repeats_and_leaves_the_random_numbers_alone():
    model = small()
    mf.seed(5)
    expected = mx.random.uniform().item()
    mf.seed(5)
    one, two, other = (model.generate([1], 20, seed=seed).tolist() for seed in (0, 0, 1))
    assert one == two != other and mx.random.uniform().item() == expected
    mf.seed(7)
    free = model.generate([1], 20).tolist()
    mf.seed(7)
    assert model.generate([1], 20).tolist() == free  # without a seed, from miniframe's own stream


def test_writing_leaves_the_model_in_its_mode_and_remembers_nothing():
    model = small(dropout=0.5)
    model.train()
    first = model.generate([1, 2], 5, seed=0)
    assert model.training and model.blocks[0].training
    assert model.generate([1, 2], 5, seed=0).tolist() == first.tolist()  # no dropout while it writes
    x = mx.array([[1, 2, 3]])
    assert model.eval()(x).shape == (1, 3, 11)  # no places of the text before


def test_two_threads_write_with_one_model():
    model = small()
    expected = [model.generate([k], 30, seed=k).tolist() for k in range(4)]
    got = [None] * 4

    def write(k):
        got[k] = model.generate([k], 30, seed=k).tolist()

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected


def test_a_layer_of_ones_own_is_called_for_every_token():
    class Count(mf.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return x

        def backward(self, grad_output):
            return grad_output

    model = small(context=32)
    expected = model.generate([1, 2], 25, seed=0).tolist()
    model.blocks.append(Count())
    assert model.generate([1, 2], 25, seed=0).tolist() == expected and Count.calls == 25


def test_weights_that_changed_write_another_text():
    model = small(context=32)
    first = model.generate([1], 25, seed=0).tolist()
    model.head.weight.value = -model.head.weight.value
    assert model.generate([1], 25, seed=0).tolist() != first


def test_rotary_positions_go_on_where_the_text_stopped():
    mf.seed(0)
    block = mf.TransformerBlock(8, 2, num_kv_heads=1, causal=True, rotary=True, norm="rms", activation="swiglu")
    x = mx.random.normal((2, 7, 8))
    block.eval()
    with mf.no_grad():
        whole = block(x)
        with remembering(block):
            parts = mx.concatenate([block(x[:, a:b]) for a, b in ((0, 3), (3, 4), (4, 7))], axis=1)
    assert mx.allclose(whole, parts, atol=1e-5)


def test_attention_that_sees_later_places_cannot_remember():
    block = mf.TransformerBlock(8, 2)
    with pytest.raises(ValueError, match="attention is not causal, so nothing that it computes can be kept"):
        with remembering(block):
            pass


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (([], 3), {}, r"expected tokens \(T,\) or \(N, T\), at least one, got \(0,\)"),
        (([1.5], 3), {}, r"expected tokens .* got \(1,\) of .*float32"),
        (([[[1]]], 3), {}, r"got \(1, 1, 1\)"),
        (([1], -1), {}, "expected a count >= 0, got -1"),
        (([1], 2.0), {}, "expected a count >= 0, got 2.0"),
        (([1], 1), {"temperature": -1}, "expected a temperature >= 0, got -1"),
        (([1], 1), {"temperature": float("nan")}, "expected a temperature >= 0, got nan"),
        (([1], 1), {"top_k": 0}, "expected top_k from 1 to 11, the vocabulary, got 0"),
        (([1], 1), {"top_k": 12}, "expected top_k from 1 to 11, the vocabulary, got 12"),
        (([11], 1), {}, r"Embedding\(11 -> 8\): expected numbers in 0..10, got 11 at \[0, 0\]"),
    ],
)
def test_what_cannot_be_continued_is_refused_in_words(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        small().generate(*arguments, **options)


def test_nothing_to_add_gives_the_prompt():
    assert small().generate([1, 2], 0, seed=0).tolist() == [1, 2]


def test_texts_longer_than_the_context_are_refused_in_training():
    with pytest.raises(ValueError, match="at most 8 places"):
        small()(mx.zeros((1, 9), dtype=mx.int32))
