"""A recurrent network for characters: its derivative, that it learns a pattern, and what it writes."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.models import CharRNN


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_the_whole_model_passes_the_gradient_check(kind):
    mf.seed(0)
    report = mf.check_gradients(CharRNN(7, 3, 4, num_layers=2, kind=kind), np.array([[1, 5, 0, 6], [3, 3, 2, 1]]))
    assert report.passed, report


def test_it_learns_a_pattern_and_goes_on_with_it():
    mf.seed(0)
    text = np.tile(np.arange(5), 60)
    x, y = text[:-1].reshape(13, 23), text[1:].reshape(13, 23)
    model = CharRNN(5, 8, 16, kind="gru")
    history = model.fit(x, y, loss="cross_entropy", optimizer=mf.Adam(model, lr=0.02), epochs=40, verbose=0, seed=0)
    assert history.history["loss"][-1] < 0.1
    assert model.generate([0, 1, 2], 7, temperature=0).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert model.generate([[0, 1], [2, 3]], 2, temperature=0).tolist() == [[0, 1, 2, 3], [2, 3, 4, 0]]


def test_a_seed_repeats_what_it_writes():
    mf.seed(0)
    model = CharRNN(5, 4, 4)
    first, second = (model.generate([1], 20, seed=3).tolist() for _ in range(2))
    assert first == second and max(first) < 5 and len(first) == 21


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="CharRNN: unknown kind 'elman'; known: rnn, gru, lstm"):
        CharRNN(5, 4, 4, kind="elman")
    with pytest.raises(ValueError, match="at least one"):
        CharRNN(5, 4, 4).generate(mx.array([], dtype=mx.int32), 3)
