"""Losses against three witnesses, at ordinary and at extreme inputs."""

import hypothesis
import hypothesis.strategies as st
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


def inside(*shape, seed=4):
    return np.random.default_rng(seed).uniform(0.05, 0.95, size=shape)


LABELS = np.array([2, 0, 1, 2], dtype=np.int32)


CASES = {
    "mse": (mf.MSELoss, F.mse_loss, normal(4, 3), normal(4, 3, seed=1)),
    "mse batch 1": (mf.MSELoss, F.mse_loss, normal(1, 1), normal(1, 1, seed=1)),
    "mse 1d": (mf.MSELoss, F.mse_loss, normal(5), normal(5, seed=1)),
    "l1": (mf.L1Loss, F.l1_loss, normal(4, 3), normal(4, 3, seed=1)),
    "huber": (mf.HuberLoss, F.huber_loss, normal(4, 3, scale=2), normal(4, 3, seed=1)),
    "cross entropy": (mf.CrossEntropyLoss, F.cross_entropy, normal(4, 3), LABELS),
    "cross entropy, probabilities": (mf.CrossEntropyLoss, F.cross_entropy, normal(4, 3), probabilities(4, 3)),
    "bce with logits": (
        mf.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, normal(4, 3, scale=3), inside(4, 3),
    ),
    "bce": (mf.BCELoss, F.binary_cross_entropy, inside(4, 3), inside(4, 3, seed=5)),
    "nll": (mf.NLLLoss, F.nll_loss, np.log(probabilities(4, 3)), LABELS),
}  # fmt: skip


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def as_mx(a):
    return mx.array(a.astype(np.float32)) if a.dtype.kind == "f" else mx.array(a)


def as_torch(a):
    return torch.tensor(a.astype(np.float32)) if a.dtype.kind == "f" else torch.tensor(a.astype(np.int64))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_value_and_gradient_agree_with_three_witnesses(case, reduction):
    make, reference, prediction, target = case
    loss = make(reduction=reduction)
    report = mf.check_gradients(loss, prediction, target)
    assert report.passed and np.abs(report.rows[0].numeric).max() > 0, report
    p, t = as_mx(prediction), as_mx(target)
    value = loss(p, t)
    gradient = loss.backward()
    close(gradient, mx.grad(lambda p: make(reduction=reduction)(p, t))(p))
    tensor = as_torch(prediction).requires_grad_()
    expected = reference(tensor, as_torch(target), reduction=reduction)
    expected.backward()
    close(value, expected)
    close(gradient, tensor.grad)


def test_sample_weights_multiply_each_samples_losses(case):
    make, _, prediction, target = case
    weight = np.linspace(0.5, 2, len(prediction))
    loss = make()
    report = mf.check_gradients(loss, prediction, target, weight)
    assert report.passed, report
    w = as_mx(weight)
    weighted = loss(as_mx(prediction), as_mx(target), w)
    singles = [make()(as_mx(prediction[i : i + 1]), as_mx(target[i : i + 1])).item() for i in range(len(prediction))]
    close(weighted, np.mean(np.array(singles) * weight))
    ones = mx.ones((len(prediction),))
    close(loss(as_mx(prediction), as_mx(target), ones), make()(as_mx(prediction), as_mx(target)))


@pytest.mark.parametrize(
    "loss, reference, prediction, target",
    [
        (mf.CrossEntropyLoss(), F.cross_entropy, [[1e4, -1e4, 0.0]], [1]),
        (mf.CrossEntropyLoss(), F.cross_entropy, [[1e4, -1e4, 0.0]], [0]),
        (mf.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits, [[1e4, -1e4, 1e4]], [[1.0, 1.0, 0.0]]),
        (mf.BCELoss(), F.binary_cross_entropy, [[1.0, 0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0, 1.0]]),
        (mf.HuberLoss(), F.huber_loss, [[1e20, -1e20]], [[0.0, 0.0]]),
        (mf.NLLLoss(), F.nll_loss, [[0.0, -float("inf")]], [0]),
    ],
    ids=["ce wrong", "ce right", "bce logits", "bce", "huber", "nll"],
)
def test_extreme_inputs_give_finite_values_and_pytorchs_gradients(loss, reference, prediction, target):
    p, t = mx.array(prediction), mx.array(target)
    tensor = torch.tensor(prediction, requires_grad=True)
    expected = reference(tensor, torch.tensor(target))
    expected.backward()
    value = loss(p, t)
    assert np.isfinite(value.item())
    close(value, expected)
    close(loss.backward(), tensor.grad)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 99), st.sampled_from(["mean", "sum"]))
def test_any_batch_passes_the_gradient_check(batch, classes, seed, reduction):
    prediction = normal(batch, classes, seed=seed)
    labels = np.random.default_rng(seed).integers(0, classes, batch)
    for make in (mf.MSELoss, mf.L1Loss, mf.HuberLoss, mf.BCEWithLogitsLoss):
        report = mf.check_gradients(make(reduction=reduction), prediction, inside(batch, classes))
        assert report.passed, report
    for make in (mf.CrossEntropyLoss, mf.NLLLoss):
        report = mf.check_gradients(make(reduction=reduction), prediction, labels)
        assert report.passed, report


def test_a_linked_loss_runs_the_models_backward():
    model = mf.Sequential(mf.Linear(2, 3), mf.Tanh(), mf.Linear(3, 1))
    loss = mf.MSELoss(model)
    x, y = mx.array(normal(4, 2).astype(np.float32)), mx.zeros((4, 1))
    loss(model(x), y)
    dx = loss.backward()
    linked = [p.grad for p in model.parameters()]
    model.zero_grad()
    free = mf.MSELoss()
    free(model(x), y)
    assert mx.array_equal(dx, model.backward(free.backward()))
    assert all(mx.array_equal(a, p.grad) for a, p in zip(linked, model.parameters()))
    assert loss.model is model and list(loss.parameters()) == []


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: mf.MSELoss()(mx.zeros((3, 1)), mx.zeros((3,))),
            r"shape \(3, 1\), got \(3,\); use y.reshape\(-1, 1\)$",
        ),
        (lambda: mf.MSELoss()(mx.zeros((3, 2)), mx.zeros((3,))), r"one_hot\(target, 2\)"),
        (lambda: mf.CrossEntropyLoss()(mx.zeros((3, 2)), mx.array([0, 1])), r"integer targets of shape \(3,\)"),
        (lambda: mf.CrossEntropyLoss()(mx.zeros((3,)), mx.array([0])), r"a prediction \(batch, classes\)"),
        (lambda: mf.MSELoss()(mx.zeros((0, 2)), mx.zeros((0, 2))), "at least one sample"),
        (lambda: mf.MSELoss()(mx.zeros((3, 2)), mx.zeros((3, 2)), mx.ones((2,))), "one sample weight for each of 3"),
        (lambda: mf.MSELoss(reduction="none"), "unknown reduction 'none'; known: mean, sum"),
        (lambda: mf.HuberLoss(delta=0), "delta > 0"),
        (lambda: mf.CrossEntropyLoss(label_smoothing=2), r"label_smoothing in \[0, 1\]"),
        (lambda: mf.losses.get("msee"), "unknown loss 'msee'; known: mse, l1"),
    ],
)
def test_mistakes_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_target_of_as_many_numbers_but_other_samples_is_not_told_to_be_reshaped():
    with pytest.raises(ValueError, match=r"shape \(3, 2\), got \(2, 3\)$"):
        mf.MSELoss()(mx.zeros((3, 2)), mx.zeros((2, 3)))


def test_the_loss_of_very_many_numbers_agrees_with_double_precision():
    prediction = np.random.default_rng(0).random(500_000, dtype=np.float32)
    found = mf.L1Loss()(mx.array(prediction), mx.zeros(prediction.shape)).item()
    assert abs(found / prediction.mean(dtype=np.float64) - 1) < 1e-6


def test_linking_to_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match="expected a model to link to, got str"):
        mf.MSELoss("mean")


@pytest.mark.parametrize("loss", [mf.MSELoss(), mf.CrossEntropyLoss(), mf.NLLLoss(), mf.BCEWithLogitsLoss()], ids=str)
def test_no_samples_have_no_loss(loss):
    target = mx.zeros((0,), dtype=mx.int32) if "Entropy" in str(loss) or "NLL" in str(loss) else mx.zeros((0, 3))
    with pytest.raises(ValueError, match=rf"^{type(loss).__name__}: expected at least one sample, got \(0, 3\)$"):
        loss(mx.zeros((0, 3)), target)
