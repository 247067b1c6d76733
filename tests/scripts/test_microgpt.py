"""The page that holds a whole GPT: short, the same numbers as one by one, and it learns to spell."""

import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import scalar_gpt
from loading import load_script

import miniframe as mf

FILE = Path(__file__).parents[2] / "tutorials" / "scripts" / "microgpt.py"
STEPS = 4


@pytest.fixture(scope="module")
def script():
    return load_script(FILE)


def test_the_page_is_short():
    assert len(FILE.read_text().splitlines()) < 200


def test_losses_and_gradients_are_those_of_an_engine_for_single_numbers(script):
    mf.seed(0)
    model = script.MicroGPT()
    texts = ["import", "lambda", "yield", "class"]
    weights = {name: np.array(p.value).astype(float).tolist() for name, p in model.named_parameters()}
    tokens = [script.tokens_of(text) for text in texts]
    scalar = scalar_gpt.train(weights, tokens, STEPS, 0.01, script.HEADS, script.LAYERS)
    for step, (ours, (theirs, grads)) in enumerate(zip(script.train(model, texts, STEPS), scalar, strict=True)):
        assert ours == pytest.approx(theirs, abs=1e-5)
        near = 1e-2 if step else 1e-4  # Adam makes steps of rounding where a gradient is next to nothing
        for name, parameter in model.named_parameters():
            expected = np.array(grads[name])
            assert np.abs(np.array(parameter.grad) - expected).max() < near * np.abs(expected).max() + 1e-7, name


def test_the_engine_for_single_numbers_finds_the_derivatives_of_differences():
    x = [scalar_gpt.Value(v) for v in (0.3, -1.2, 0.7)]

    def f(values):
        a, b, c = values
        return scalar_gpt.softmax([a * b, b.exp(), (c * c + 1.0).log()])[1] + (a - c).relu() + (c * c).power(-0.5)

    f(x).backward()
    for k in range(3):
        moved = [[scalar_gpt.Value(v.data + (h if i == k else 0)) for i, v in enumerate(x)] for h in (1e-5, -1e-5)]
        assert (f(moved[0]).data - f(moved[1]).data) / 2e-5 == pytest.approx(x[k].grad, abs=1e-7)


def test_words_become_tokens_and_come_back(script):
    assert script.tokens_of("abz") == [0, 1, 2, 26, 0] and script.word_of([1, 2, 26]) == "abz"
    assert len(script.words()) > 2000 and max(map(len, script.words())) < script.CONTEXT


def test_it_learns_to_spell_and_writes(script):
    mf.seed(0)
    model = script.MicroGPT()
    losses = list(script.train(model, ["import", "lambda"], 120))
    assert losses[0] > 3 and losses[-1] < 0.3
    assert {script.write(model, 0.3, seed=k) for k in range(4)} <= {"import", "lambda"}
    assert mf.check_gradients(script.MicroGPT(), np.array([[0, 3, 1], [2, 2, 5]])).passed
    assert mx.isfinite(model(mx.array([[1] * 16]))).all()


def test_the_script_runs():
    done = subprocess.run([sys.executable, FILE, "--steps", "30"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "it writes:" in done.stdout, done.stderr
