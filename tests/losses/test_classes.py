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


# -------------------------------------------------------------------- targets to ignore

PADDED = np.array([[2, 0, -100, -100], [1, -100, -100, 2], [-100] * 4], dtype=np.int32)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("index", [-100, -1, 0, 2])
def test_ignored_targets_agree_with_pytorch(index, smoothing, reduction):
    prediction, target = normal(3, 4, 3), np.where(PADDED == -100, index, PADDED).astype(np.int32)
    loss = mf.CrossEntropyLoss(reduction=reduction, label_smoothing=smoothing, ignore_index=index)
    report = mf.check_gradients(loss, prediction, target)
    assert report.passed, report
    tensor = as_torch(prediction).requires_grad_()
    options = dict(label_smoothing=smoothing, ignore_index=index, reduction=reduction)
    expected = F.cross_entropy(tensor.permute(0, 2, 1), as_torch(target), **options)
    expected.backward()
    close(loss(as_mx(prediction), as_mx(target)), expected)
    close(loss.backward(), tensor.grad)
    ignored = target == index
    assert ignored.any() and np.all(np.array(loss.gradient())[ignored] == 0)


def test_ignored_targets_agree_with_mx_grad():
    prediction, target = as_mx(normal(3, 4, 3)), as_mx(PADDED)
    loss = mf.CrossEntropyLoss(ignore_index=-100)
    loss(prediction, target)
    close(loss.gradient(), mx.grad(lambda p: loss.forward(p, target))(prediction))


def test_where_all_targets_are_ignored_loss_and_gradient_are_zero():
    loss = mf.CrossEntropyLoss(ignore_index=-1)
    assert loss(mx.zeros((2, 3)), mx.array([-1, -1])).item() == 0 and not mx.any(loss.backward())


def test_nothing_that_an_ignored_place_predicts_counts():
    loss = mf.CrossEntropyLoss(ignore_index=-1)
    prediction = mx.array([[1.0, 2.0, 3.0], [float("inf"), float("nan"), 0.0]])
    expected = mf.CrossEntropyLoss()(prediction[:1], mx.array([2]))
    close(loss(prediction, mx.array([2, -1])), expected)
    assert loss.backward()[1].tolist() == [0, 0, 0]


def test_sample_weights_and_ignored_targets_work_together():
    loss, prediction = mf.CrossEntropyLoss(ignore_index=-1), as_mx(normal(3, 2, 3))
    target, weights = mx.array([[0, -1], [2, 1], [-1, -1]]), mx.array([2.0, 0.5, 3.0])
    each = mf.CrossEntropyLoss().each(prediction, mx.maximum(target, 0))
    expected = (2 * each[0, 0] + 0.5 * (each[1, 0] + each[1, 1])) / 3
    close(loss(prediction, target, weights), expected)
    report = mf.check_gradients(loss, np.array(prediction), np.array(target), np.array(weights))
    assert report.passed, report


def test_other_numbers_that_are_no_class_are_still_refused():
    loss = mf.CrossEntropyLoss(ignore_index=-1)
    loss.check_values(mx.zeros((3, 3)), mx.array([0, -1, 2]))
    with pytest.raises(ValueError, match="expected class labels in 0..2, got -2"):
        loss.check_values(mx.zeros((3, 3)), mx.array([-2, -1, 2]))
    with pytest.raises(TypeError, match="expected a whole number for ignore_index, got 0.5"):
        mf.CrossEntropyLoss(ignore_index=0.5)
    assert loss.title() == "CrossEntropyLoss(ignore_index=-1)" and mf.CrossEntropyLoss().title() == "CrossEntropyLoss()"


@pytest.mark.parametrize("compile", [True, False])
def test_fit_and_evaluate_take_the_mean_over_the_targets_that_count(compile):
    x = as_mx(normal(6, 4, 3))
    y = np.random.default_rng(1).integers(0, 2, (6, 4)).astype(np.int32)
    y[1:, 1:] = -1
    y[3] = -1
    mf.seed(0)
    model, loss = mf.Sequential(mf.Linear(3, 2)), mf.CrossEntropyLoss(ignore_index=-1)
    expected = loss(model(x), mx.array(y)).item()
    assert abs(mf.CrossEntropyLoss()(model(x), mx.array(np.maximum(y, 0))).item() - expected) > 1e-3
    for batch_size in (6, 2, 1):
        found = model.evaluate(x, y, loss=loss, batch_size=batch_size)
        close(found["loss"], expected)
        history = model.fit(x, y, loss=loss, optimizer=mf.SGD(model, lr=1e-12), epochs=1, batch_size=batch_size,
                            verbose=0, compile=compile)  # fmt: skip
        close(history.history["loss"][0], expected)


# -------------------------------------------------------------------- out of range


OUT_OF_RANGE = [np.array([0, 3, 1]), np.array([0, -1, 1]), np.array([0, 2**32 + 1, 1]), np.array([0, 200, 1], np.uint8)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("make", [mf.CrossEntropyLoss, mf.NLLLoss])
@pytest.mark.parametrize("labels", OUT_OF_RANGE, ids=lambda labels: f"{labels[1]}")
def test_a_label_out_of_range_is_an_error_by_hand_and_nan_where_it_cannot_be_seen(make, reduction, labels):
    loss, logits, target = make(reduction=reduction), mx.array(normal(3, 3).astype(np.float32)), mx.array(labels)
    with pytest.raises(
        ValueError, match=rf"^{make.__name__}: expected class labels in 0..2, got {labels[1]} at \[1\]$"
    ):
        loss(logits, target)

    def traced(logits, target):
        return loss(logits, target), loss.gradient()

    value, gradient = mx.compile(traced)(logits, target)
    finite = np.isfinite(np.array(gradient))
    assert np.isnan(value.item()) and finite[[0, 2]].all() and not finite[1].any()


def test_labels_of_few_bits_name_more_classes_than_they_hold():
    logits = mx.array(normal(2, 300).astype(np.float32))
    small, large = (mx.array(np.array([250, 7], kind)) for kind in (np.uint8, np.int32))
    loss = mf.CrossEntropyLoss()
    value = mx.compile(loss.forward)(logits, small)
    assert np.isfinite(value.item())
    assert value.item() == loss(logits, large).item() == loss(logits, small).item()


def test_class_numbers_that_are_no_integers_are_told_how_to_become_some():
    with pytest.raises(
        ValueError, match=r"got .*float32 of shape \(4,\); use y.astype\(int\), in MLX astype\(mx.int32\)$"
    ):
        mf.CrossEntropyLoss()(mx.zeros((4, 3)), mx.zeros((4,)))
    with pytest.raises(ValueError, match=r"got \(4, 1\); use y.reshape\(-1\)$"):
        mf.CrossEntropyLoss()(mx.zeros((4, 3)), mx.array([[0], [1], [2], [0]]))
