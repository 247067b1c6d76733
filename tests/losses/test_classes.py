"""Cross entropy: smoothed labels, several positions, masked classes."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close, normal

import miniframe as mf


def probabilities(*shape, seed=3):
    raw = np.exp(normal(*shape, seed=seed))
    return raw / raw.sum(axis=-1, keepdims=True)


LABELS = np.array([2, 0, 1, 2], dtype=np.int32)


def as_mx(a):
    return mx.array(a.astype(np.float32)) if a.dtype.kind == "f" else mx.array(a)


def as_torch(a):
    return torch.tensor(a.astype(np.float32)) if a.dtype.kind == "f" else torch.tensor(a.astype(np.int64))


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("target", [LABELS, probabilities(4, 3)], ids=["labels", "probabilities"])
def test_label_smoothing_agrees_with_pytorch(smoothing, target):
    loss = mf.CrossEntropyLoss(label_smoothing=smoothing)
    prediction = normal(4, 3)
    assert mf.check_gradients(loss, prediction, target).passed
    tensor = as_torch(prediction).requires_grad_()
    expected = F.cross_entropy(tensor, as_torch(target), label_smoothing=smoothing)
    expected.backward()
    close(loss(as_mx(prediction), as_mx(target)), expected)
    close(loss.backward(), tensor.grad)


def test_cross_entropy_over_several_positions_puts_classes_last():
    p, t = normal(2, 5, 3), np.random.default_rng(0).integers(0, 3, (2, 5))
    loss = mf.CrossEntropyLoss()
    tensor = as_torch(p).requires_grad_()
    expected = F.cross_entropy(tensor.permute(0, 2, 1), as_torch(t))
    expected.backward()
    close(loss(as_mx(p), as_mx(t.astype(np.int32))), expected)
    close(loss.backward(), tensor.grad)


def test_a_masked_class_does_not_poison_cross_entropy():
    loss = mf.CrossEntropyLoss()
    close(loss(mx.array([[0.0, -float("inf"), 1.0]]), mx.array([0])), np.log(1 + np.e))
    close(loss.backward(), [[1 / (1 + np.e) - 1, 0, np.e / (1 + np.e)]])
