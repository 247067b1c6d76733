"""Losses of single numbers: the one that has a setting."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close, normal

import miniframe as mf


def as_mx(a):
    return mx.array(a.astype(np.float32)) if a.dtype.kind == "f" else mx.array(a)


def as_torch(a):
    return torch.tensor(a.astype(np.float32)) if a.dtype.kind == "f" else torch.tensor(a.astype(np.int64))


def test_huber_delta_agrees_with_pytorch():
    p, t = normal(6, 2, scale=3), normal(6, 2, seed=1)
    assert mf.check_gradients(mf.HuberLoss(delta=0.7), p, t).passed
    close(mf.HuberLoss(delta=0.7)(as_mx(p), as_mx(t)), F.huber_loss(as_torch(p), as_torch(t), delta=0.7))


@pytest.mark.parametrize("bad", [2.0, -1.0, np.nan])
@pytest.mark.parametrize("make", [mf.BCELoss, mf.BCEWithLogitsLoss])
def test_targets_that_are_no_probabilities_are_named(make, bad):
    target = mx.array([[0.0], [1.0], [bad]])
    with pytest.raises(ValueError, match=rf"^{make.__name__}: expected targets in 0..1, got {bad} at \[2, 0\]$"):
        make()(mx.full((3, 1), 0.5), target)
    for inside in (
        mx.array([[-1e-7], [0.3], [1.0000002]]),
        mx.array([[0], [1], [1]]),
        mx.array([[True], [False], [True]]),
    ):
        assert np.isfinite(make()(mx.full((3, 1), 0.5), inside).item())
