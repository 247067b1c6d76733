"""Batches and arrays."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import miniframe as mf


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_batches_hold_every_sample_once_in_full_batches_and_a_rest(n, batch_size, shuffle):
    x = np.arange(n)
    parts = list(mf.batches(x, x * 10, batch_size=batch_size, shuffle=shuffle, seed=0))
    assert [len(a) for a, _ in parts[:-1]] == [batch_size] * (len(parts) - 1)
    joined = np.concatenate([np.array(a) for a, _ in parts])
    assert sorted(joined) == list(range(n))
    assert all(np.array_equal(np.array(a) * 10, np.array(b)) for a, b in parts)
    if not shuffle:
        assert np.array_equal(joined, x)


def test_the_seed_fixes_the_order():
    def order(seed):
        return [b.tolist() for b in mf.batches(np.arange(50), batch_size=50, shuffle=True, seed=seed)]

    assert order(1) == order(1) != order(2)
    mf.seed(3)
    first = order(None)
    mf.seed(3)
    assert order(None) == first


def test_several_inputs_travel_together():
    (x, y), *_ = mf.batches((np.zeros((4, 2)), np.ones((4, 3))), np.arange(4), batch_size=4)
    assert isinstance(x, tuple) and [a.shape for a in x] == [(4, 2), (4, 3)] and y.shape == (4,)


def test_batches_refuse_a_bad_size():
    with pytest.raises(ValueError, match="batches: expected batch_size as a whole number of at least 1, got 0"):
        list(mf.batches([1, 2], batch_size=0))
