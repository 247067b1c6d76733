"""Losses of single numbers: the one that has a setting."""

import mlx.core as mx
import numpy as np
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
