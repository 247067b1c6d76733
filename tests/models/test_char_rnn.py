"""A recurrent network for characters: its derivative, that it learns a pattern, and what it writes."""

from collections import Counter

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.layers.memory import remembering
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


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("prompt", [[1], [[1, 2], [4, 0]], list(range(5)) * 4])
@pytest.mark.parametrize("how", [{}, {"temperature": 0}])
def test_the_state_is_kept_and_the_characters_are_the_same_without(kind, prompt, how):
    mf.seed(0)
    model = CharRNN(5, 8, 16, num_layers=2, kind=kind, context=8)
    for p in model.parameters():
        p.value = p.value * 3  # so that the state counts
    steps = Counter()
    step = type(model.rnn).step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.rnn), "step", lambda *a: (steps.update([a[1].shape]), step(*a))[1])
        written = model.generate(prompt, 25, seed=3, **how)  # beyond the context of 8, too
        few = sum(steps.values())
        assert written.tolist() == model.generate(prompt, 25, seed=3, cache=False, **how).tolist()
    assert few < (sum(steps.values()) - few) / 2
    assert written.shape == (*np.shape(prompt)[:-1], np.shape(prompt)[-1] + 25)


def test_a_text_goes_on_where_the_call_before_ended():
    mf.seed(0)
    model = CharRNN(5, 8, 16, num_layers=2, kind="lstm").eval()
    x = mx.array([[1, 2, 3, 4, 0, 1]])
    whole = model(x)
    with remembering(model) as memories:
        parts = [model(x[:, :2]), model(x[:, 2:3]), model(x[:, 3:])]
        assert memories.length == 6
        memories.forget()
        assert memories.length == 0 and mx.array_equal(model(x), whole)
        zeros = mx.zeros((1, 2, 16))
        begun = model.rnn(model.tokens(x), zeros, zeros)  # whoever gives a state knows better
    assert mx.allclose(mx.concatenate(parts, axis=1), whole, atol=1e-6) and mx.array_equal(model(x), whole)
    assert mx.array_equal(model.head(begun), whole)
    with remembering(model), pytest.raises(ValueError, match=r"expected, as the state to begin with, h \(3, 2, 16\)"):
        model(x)
        model(mx.array([[1], [2], [3]]))  # other texts
    both = mf.Sequential(mf.LSTM(3, 4, bidirectional=True))
    with pytest.raises(ValueError, match="remembering: 0 reads from the end, too, so nothing that it computes can be"):
        with remembering(both):
            pass


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="CharRNN: unknown kind 'elman'; known: rnn, gru, lstm"):
        CharRNN(5, 4, 4, kind="elman")
    with pytest.raises(ValueError, match="at least one"):
        CharRNN(5, 4, 4).generate(mx.array([], dtype=mx.int32), 3)
