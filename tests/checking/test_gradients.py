"""The gradient check itself: right backwards pass, wrong ones fail, kinks are told apart."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf


class Square(mf.Module):
    """y = factor x², with switches for mistakes."""

    def __init__(self, mistake=""):
        self.mistake = mistake
        self.factor = mf.Parameter(mx.array([1.5, -0.5, 2.0]))

    def forward(self, x):
        self.saved = x
        return self.factor.value * x * x

    def backward(self, grad_output):
        x = self.saved
        if self.mistake == "ignores upstream":
            grad_output = mx.ones_like(grad_output)
        if self.mistake != "no parameter gradient":
            self.factor.accumulate((grad_output * x * x).sum(axis=0))
        grad = 2 * self.factor.value * x * grad_output
        if self.mistake == "one element":
            grad = grad * mx.where(mx.arange(grad.size).reshape(grad.shape) == 4, 1.01, 1.0)
        return {"sign": -grad, "factor": grad / 2}.get(self.mistake, grad)


def test_a_right_backward_passes_with_a_tiny_error():
    report = mf.check_gradients(Square(), normal(4, 3))
    assert report.passed and 0 < report.max_error < 1e-8
    assert [row.name for row in report.rows] == ["factor", "input"]


@pytest.mark.parametrize("mistake", ["ignores upstream", "no parameter gradient", "one element", "sign", "factor"])
def test_a_wrong_backward_fails_and_the_report_says_where(mistake):
    report = mf.check_gradients(Square(mistake), normal(4, 3))
    assert not report.passed
    assert "FAILED" in repr(report) and "backward says" in repr(report)
    if mistake == "one element":
        assert report["input"].worst == (1, 1)
    if mistake == "no parameter gradient":
        assert not report["factor"].passed and report["input"].passed


def test_a_kink_is_reported_and_does_not_fail():
    x = np.array([[-1.0, 0.0, 2.0]])
    report = mf.check_gradients(mf.ReLU(), x)
    assert report.passed and report["input"].kinks == 1
    assert "1 at a kink left out" in repr(report)


def test_a_wrong_gradient_at_a_kink_is_still_a_failure():
    class Wrong(mf.ReLU):
        def backward(self, grad_output):
            return grad_output * mx.where(self.saved > 0, 1.0, -3.0)

    assert not mf.check_gradients(Wrong(), np.array([[0.0, 1.0]])).passed


def test_values_gradients_mode_and_random_state_are_as_before():
    model = mf.Sequential(mf.Linear(2, 3), mf.Dropout(0.5), mf.Linear(3, 1))
    model[0].weight.grad = mx.ones((3, 2))
    before = [np.array(p.value) for p in model.parameters()]
    state = mf.random.get_state()
    assert mf.check_gradients(model, normal(3, 2)).passed
    assert all(np.array_equal(a, np.array(p.value)) for a, p in zip(before, model.parameters()))
    assert all(p.value.dtype == mx.float32 for p in model.parameters())
    assert model[0].weight.grad.tolist() == [[1, 1]] * 3 and model[2].weight.grad is None
    assert mf.random.get_state() == state and model.training


def test_a_model_with_a_loss_is_checked_through_the_loss():
    model = mf.Sequential(mf.Linear(2, 4), mf.Sigmoid(), mf.Linear(4, 3))
    report = mf.check_gradients(model, normal(5, 2), loss="cross_entropy", target=np.array([0, 1, 2, 1, 0]))
    assert report.passed, report


def test_a_layer_that_mlx_cannot_vectorize_is_checked_one_by_one():
    class Strided(mf.Module):
        def forward(self, x):
            self.saved = x.shape
            return mx.as_strided(x * 2, (x.size,), (1,))

        def backward(self, grad_output):
            return 2 * grad_output.reshape(self.saved)

    assert mf.check_gradients(Strided(), normal(3, 2)).passed


def test_a_gradient_of_the_wrong_shape_is_named():
    class Wrong(mf.Identity):
        def backward(self, grad_output):
            return grad_output.T

    with pytest.raises(ValueError, match=r"expected a gradient of shape \(2, 3\) for input, got \(3, 2\)"):
        mf.check_gradients(Wrong(), normal(2, 3))


def test_at_least_one_input_is_needed():
    with pytest.raises(ValueError, match=r"check_gradients\(ReLU\(\)\): expected at least one input"):
        mf.check_gradients(mf.ReLU())


def test_nothing_compared_is_never_passed():
    report = mf.check_gradients(mf.ReLU(), np.zeros((2, 3)))
    assert not report.passed and report["input"].kinks == 6
    assert "nothing compared: the function has a corner at every element; move the input away" in report.diagnosis
    assert not mf.check_gradients(mf.ReLU(), np.zeros((0, 3))).passed
    assert not mf.check_gradients(mf.Identity(), np.array([1, 2])).passed


def test_a_bend_is_no_kink_however_sharp():
    class WrongLog(mf.Module):
        def forward(self, x):
            self.saved = x
            return mx.log(x)

        def backward(self, grad_output):
            return 1.2 * grad_output / self.saved

    report = mf.check_gradients(WrongLog(), np.array([1e-7, 1e-5, 2e-5]))
    assert not report.passed and report["input"].kinks == 0
    np.testing.assert_allclose(report["input"].by_hand / report["input"].numeric, 1.2, rtol=1e-6)


def test_a_corner_close_by_is_no_corner_here():
    report = mf.check_gradients(mf.ReLU(), np.array([1e-6, -1e-6, 1e-9, 3.0]))
    assert report.passed and report["input"].kinks == 0


@pytest.mark.parametrize("check", ["check_gradients", "compare_gradients"])
def test_the_loss_is_left_as_it_was(check):
    loss, model, target = mf.CrossEntropyLoss(), mf.Linear(3, 2), np.array([0, 1, 1, 0])
    value = loss(model(mx.array(normal(4, 3).astype(np.float32))), target)
    before, saved, gradient = dict(vars(loss)), loss.saved, np.array(loss.gradient())
    if check == "check_gradients":
        assert mf.check_gradients(model, normal(4, 3), loss=loss, target=target).passed
    else:
        assert mf.compare_gradients(model, loss, normal(4, 3), target).max_error < 1e-6
    assert value.dtype == mx.float32 and loss.saved is saved and vars(loss) == before
    assert loss.gradient().dtype == mx.float32 and np.array_equal(loss.gradient(), gradient)


def test_a_loss_that_was_never_called_still_says_so_after_a_check():
    loss = mf.MSELoss()
    mf.check_gradients(mf.Linear(3, 2), normal(4, 3), loss=loss, target=normal(4, 2))
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        loss.gradient()


def test_a_loss_without_a_target_is_asked_for_one():
    with pytest.raises(ValueError, match="check_gradients: expected a loss and a target, or neither"):
        mf.check_gradients(mf.Linear(2, 1), np.ones((3, 2)), loss="mse")
