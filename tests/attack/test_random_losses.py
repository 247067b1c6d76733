"""Random losses against PyTorch: every reduction and option, sizes, weights of samples, targets that do not count."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import torch
from attacks import attack
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F
from twins import VIEWS, agree, computing, numbers

import miniframe as mf

sizes, switch = st.integers(1, 7), st.booleans()
shapes = st.lists(sizes, min_size=1, max_size=3).map(tuple)
reductions = st.sampled_from(["mean", "sum"])
common = dict(
    shape=shapes, reduction=reductions, double=switch, view=st.sampled_from(sorted(VIEWS)), seed=st.integers(0, 99)
)
ELEMENTWISE = {
    "MSELoss": lambda p, t, o: F.mse_loss(p, t, reduction="none"),
    "L1Loss": lambda p, t, o: F.l1_loss(p, t, reduction="none"),
    "HuberLoss": lambda p, t, o: F.huber_loss(p, t, reduction="none", **o),
    "BCEWithLogitsLoss": lambda p, t, o: F.binary_cross_entropy_with_logits(p, t, reduction="none"),
    "BCELoss": lambda p, t, o: F.binary_cross_entropy(p, t, reduction="none"),
}


def compared(loss, function, prediction, target, weights, double, view):
    """Value and gradient of the loss, beside those of PyTorch's losses one by one, weighted and reduced as promised."""
    found = {}
    for name, dtype in (("exact", torch.float64), ("rounded", torch.float32)):
        tensor = torch.tensor(prediction).to(dtype).requires_grad_()
        goal = torch.tensor(target)
        each, count = function(tensor, goal.to(dtype) if goal.is_floating_point() else goal)
        if weights is not None:
            each = each * torch.tensor(weights).to(dtype).reshape(-1, *[1] * (each.ndim - 1))
        value = each.sum() / (count if loss.reduction == "mean" else 1)
        value.backward()
        found[name] = {"value": value.detach().double().numpy(), "gradient": tensor.grad.double().numpy()}
    with computing(double, loss) as array:
        goal = array(target) if target.dtype.kind == "f" else mx.array(target)
        value = loss(VIEWS[view](array(prediction)), goal, None if weights is None else array(weights))
        ours = {"value": np.array(value), "gradient": np.array(loss.gradient())}
    agree(ours, found["exact"], found["rounded"], double)


def sample_weights(shape, seed, weighted):
    return (
        np.random.default_rng(seed).uniform(0.1, 3, shape[0]).astype(np.float32).astype(np.float64)
        if weighted
        else None
    )


@attack(80)
@given(kind=st.sampled_from(sorted(ELEMENTWISE)), delta=st.sampled_from([0.1, 1.0, 2.5]), weighted=switch, **common)
def test_losses_element_by_element(kind, delta, weighted, shape, reduction, double, view, seed):
    rng = np.random.default_rng(seed)
    prediction, target = numbers(shape, seed), numbers(shape, seed + 1)
    if kind.startswith("BCE"):
        target = rng.uniform(size=shape).round(rng.integers(0, 3)).astype(np.float32).astype(np.float64)
    if kind == "BCELoss":
        prediction = rng.uniform(0.01, 0.99, shape).astype(np.float32).astype(np.float64)
    distance = np.abs(prediction - target)
    assume(kind not in ("L1Loss", "HuberLoss") or min(distance.min(), np.abs(distance - delta).min()) > 1e-4)
    options = {"delta": delta} if kind == "HuberLoss" else {}
    loss = getattr(mf, kind)(reduction=reduction, **options)

    def function(p, t):
        return ELEMENTWISE[kind](p, t, options), p.numel()

    compared(loss, function, prediction, target, sample_weights(shape, seed, weighted), double, view)


@attack(80)
@given(
    classes=st.integers(2, 6), smoothing=st.sampled_from([0.0, 0.1, 1.0]), ignored=st.sampled_from([None, -100, 0]),
    mixed=switch, weighted=switch, **common,
)  # fmt: skip
def test_cross_entropy(classes, smoothing, ignored, mixed, weighted, shape, reduction, double, view, seed):
    rng = np.random.default_rng(seed)
    logits = numbers((*shape, classes), seed) * 3
    if mixed:  # a probability for each class
        ignored = None
        target = rng.dirichlet(np.ones(classes), shape).astype(np.float32).astype(np.float64)
        target /= target.sum(axis=-1, keepdims=True)
    else:
        target = rng.integers(0, classes, shape)
        if ignored is not None:
            target[rng.uniform(size=shape) < 0.3] = ignored
    weights = sample_weights(shape, seed, weighted)
    loss = mf.CrossEntropyLoss(reduction=reduction, label_smoothing=smoothing, ignore_index=ignored)

    def function(p, t):
        last = p.reshape(-1, classes)
        goal = t.reshape(-1, classes) if mixed else t.reshape(-1)
        none = -100 if ignored is None else ignored
        each = F.cross_entropy(last, goal, reduction="none", label_smoothing=smoothing, ignore_index=none)
        count = max(1, int((t != ignored).sum())) if ignored is not None else each.numel()
        return each.reshape(p.shape[:-1]), count

    compared(loss, function, logits, target, weights, double, view)


@attack(30)
@given(classes=st.integers(2, 6), weighted=switch, **common)
def test_negative_log_likelihood(classes, weighted, shape, reduction, double, view, seed):
    logits = numbers((*shape, classes), seed)
    target = np.random.default_rng(seed).integers(0, classes, shape)

    def function(p, t):
        return F.nll_loss(p.reshape(-1, classes), t.reshape(-1), reduction="none").reshape(p.shape[:-1]), t.numel()

    compared(
        mf.NLLLoss(reduction=reduction), function, logits, target, sample_weights(shape, seed, weighted), double, view
    )
