"""GPT beside PyTorch's: the same weights and the same batches of a real text give the same curve and the same texts."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close
from loading import load_script
from torch.nn import functional

import miniframe as mf
from miniframe import datasets
from miniframe.training.cores import choose

STEPS, CONTEXT = 20, 24


@pytest.fixture(scope="module")
def bench():
    return load_script("benchmarks/sequences.py")


def text():
    """Tokens of a real text, and how many there are."""
    words = datasets.docs_text()[:20_000]
    tokenizer = datasets.CharTokenizer(words)
    return tokenizer.encode(words), tokenizer.vocabulary_size


def curves(bench, make_ours, make_theirs, clip=None):
    """The losses of both models over the same batches, and the models afterwards."""
    tokens, vocabulary = text()
    mf.seed(0)
    model = mf.models.GPT(vocabulary, CONTEXT, 32, 4, 2)
    twin = bench.twin_of(model)
    loss, optimizer = mf.CrossEntropyLoss(), make_ours(model, clip)
    step = choose(model, loss)(model, loss, optimizer)
    other = make_theirs(twin.parameters())
    found = []
    for seed in range(STEPS):
        x, y = datasets.random_windows(tokens, CONTEXT, 8, seed=seed)
        other.zero_grad()
        logits = twin(torch.tensor(np.array(x)).long())
        theirs = functional.cross_entropy(logits.flatten(0, 1), torch.tensor(np.array(y)).long().flatten())
        theirs.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        other.step()
        found.append((step(x, y)[0].item(), theirs.item()))
    return np.array(found), model, twin


OPTIMIZERS = {
    "sgd": (
        lambda model, clip: mf.SGD(model, lr=0.1, momentum=0.9, clip_norm=clip),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    ),
    "adamw": (
        lambda model, clip: mf.AdamW(model, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.1, clip_norm=clip),
        lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, betas=(0.9, 0.99), weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("clip", [None, 1.0], ids=["", "clipped"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_steps_of_training_are_pytorchs_to_a_ten_thousandth(bench, name, clip):
    losses, model, twin = curves(bench, *OPTIMIZERS[name], clip)
    assert losses[-1, 0] < losses[0, 0] - 0.5, "it learns"
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], atol=1e-4)
    x = text()[0][None, :CONTEXT]
    close(model.eval()(x), twin(torch.tensor(np.array(x)).long()), 1e-3)


def test_it_writes_what_pytorchs_model_finds_likeliest(bench):
    _, model, twin = curves(bench, *OPTIMIZERS["adamw"])
    written = model.generate([1, 2, 3], CONTEXT - 3, temperature=0)
    likeliest = twin(torch.tensor(np.array(written)[None]).long())[0].argmax(dim=-1)
    assert written[3:].tolist() == likeliest[2:-1].tolist()
    assert mx.array_equal(written, model.generate([1, 2, 3], CONTEXT - 3, temperature=0, cache=False))
