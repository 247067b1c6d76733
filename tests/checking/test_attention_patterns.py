"""Attention written by hand with one classical mistake: the report says which one."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe.layers import MergeHeads, SplitHeads


class Attention(mf.Module):
    """softmax(Q Kᵀ / √D) V in the textbook way, with a place for one mistake."""

    def __init__(self, mistake="", causal=False):
        self.mistake, self.causal = mistake, causal

    def forward(self, q, k, v, mask=None):
        scale = q.shape[-1] ** -0.5
        scores = q @ k.swapaxes(-1, -2) * scale
        if self.causal:
            mask = mx.arange(k.shape[-2]) <= mx.arange(q.shape[-2])[:, None]
        masked = scores
        if mask is not None and self.mistake != "forward masks late":
            masked = mx.where(mask, scores, -1e30)
        p = mx.softmax(masked, axis=-1)
        if self.mistake == "forward masks late":
            p = mx.where(mask, p, 0)
        self.saved = q, k, v, p, mx.softmax(scores, axis=-1), scale, mask
        return p @ v

    def backward(self, dy):
        q, k, v, p, full, scale, mask = self.saved
        mistake = self.mistake
        if mistake == "mask forgotten":
            p = full
        dv = (p if mistake == "dV not transposed" else p.swapaxes(-1, -2)) @ dy
        dp = dy @ v.swapaxes(-1, -2)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
        if mistake == "backward masks late":
            dp = mx.where(mask, dp, 0)
            ds = full * (dp - (dp * full).sum(axis=-1, keepdims=True))
        if mistake == "sum forgotten":
            ds = p * dp
        if mistake == "element by element":
            ds = p * (1 - p) * dp
        if mistake == "softmax forgotten":
            ds = dp
        ds = ds * {"scale forgotten": 1, "scale twice": scale**2}.get(mistake, scale)
        dq = (ds.swapaxes(-1, -2) if mistake == "dQ transposed" else ds) @ k
        dk = (ds if mistake == "dK not transposed" else ds.swapaxes(-1, -2)) @ q
        if mistake == "heads mixed":
            batch, heads, length, features = dq.shape
            dq = dq.reshape(batch, length, heads, features).swapaxes(1, 2)
        if mistake == "heads mixed the other way":
            dv = dv.swapaxes(1, 2).reshape(dv.shape)
        grads = dq, dk, dv
        return grads if self.causal or mask is None else (*grads, None)


PLANTED = {
    "scale forgotten": "input 0: no scaling: the scores are multiplied by 0.4472, 1 over the root of the features, in",
    "scale twice": "input 1: scaled twice",
    "mask forgotten": "input 2: mask not applied in backward",
    "forward masks late": "input 0: mask after the softmax: forward takes weights away",
    "backward masks late": "input 1: mask after the softmax: this is the gradient of weights that are masked",
    "sum forgotten": "input 0: cross terms missing: dS = P (dP - Σ dP P), and the sum",
    "element by element": "input 1: cross terms missing: the softmax is derived element by element",
    "softmax forgotten": "input 0: the derivative of the softmax is missing",
    "dQ transposed": "input 0: transposed: dQ = dS K",
    "dK not transposed": "input 1: not transposed: dK = dSᵀ Q",
    "dV not transposed": "input 2: not transposed: dV = Pᵀ dY",
    "heads mixed": "input 0: heads mixed up: backward reshapes between (batch, heads, length, ...)",
    "heads mixed the other way": "input 2: heads mixed up",
}


@pytest.mark.parametrize("masked", ["causal", "mask"])
@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_named(mistake, masked):
    inputs = [normal(2, 3, 4, 5, seed=seed) for seed in range(3)]
    if masked == "mask":
        inputs.append((np.random.default_rng(0).uniform(size=(2, 1, 4, 4)) > 0.4) | np.eye(4, dtype=bool))
    report = mf.check_gradients(Attention(mistake, causal=masked == "causal"), *inputs)
    assert not report.passed and PLANTED[mistake] in report.diagnosis, report


@pytest.mark.parametrize("mistake", [name for name in PLANTED if "mask" not in name and "heads" not in name])
def test_it_is_named_without_heads_and_masks_too(mistake):
    report = mf.check_gradients(Attention(mistake), *[normal(2, 4, 5, seed=seed) for seed in range(3)])
    assert not report.passed and PLANTED[mistake] in report.diagnosis, report


def test_the_mistake_is_found_inside_a_model():
    class Model(mf.Module):
        def __init__(self):
            self.q, self.k, self.v = (mf.Linear(4, 4) for _ in range(3))
            self.attention = Attention("scale forgotten")

        def forward(self, x):
            return self.attention(self.q(x), self.k(x), self.v(x))

    report = mf.check_gradients(Model(), normal(2, 3, 4))
    assert [name for name, _ in report.culprits] == ["attention"] and "no scaling" in repr(report)


@pytest.mark.parametrize("causal", [True, False])
def test_the_right_one_raises_no_alarm(causal):
    report = mf.check_gradients(Attention(causal=causal), *[normal(2, 2, 3, 4, seed=seed) for seed in range(3)])
    assert report.passed, report


class Biased(mf.Module):
    """Three inputs as attention has them, and a fourth that is no mask; the gradient of the first is wrong."""

    def forward(self, q, k, v, bias):
        p = mx.softmax(q @ k.swapaxes(-1, -2) + bias, axis=-1)
        self.saved = q, k, v, p
        return p @ v

    def backward(self, dy):
        q, k, v, p = self.saved
        dp = dy @ v.swapaxes(-1, -2)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
        return 2 * (ds @ k), ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ dy, ds.sum(axis=0)


def test_what_is_no_attention_of_this_kind_is_left_to_the_other_patterns():
    report = mf.check_gradients(Biased(), *[normal(2, 3, 4, seed=seed) for seed in range(3)], normal(3, 3, seed=4))
    assert not report.passed and "input 0: constant ratio: 2 times too large" in report.diagnosis, report


class Cut(SplitHeads):
    def backward(self, grad_output):
        batch, heads, length, features = grad_output.shape
        return grad_output.reshape(batch, length, heads * features)


class Joined(MergeHeads):
    def backward(self, grad_output):
        return grad_output.reshape(self.saved)


@pytest.mark.parametrize("layer, shape", [(Cut(2), (2, 3, 4)), (Joined(), (2, 2, 3, 4))])
def test_heads_that_backward_only_reshapes_are_named(layer, shape):
    report = mf.check_gradients(layer, normal(*shape))
    assert not report.passed and "heads mixed up" in report.diagnosis, report
