"""Plain areas of pictures: exact ties in MaxPool2d and corners of ReLU that add up are no mistakes, and hide none."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf


def plain_picture():
    """A bright square on a dark ground, without noise."""
    x = np.zeros((1, 8, 8, 2))
    x[:, 2:7, 1:6] = [1.0, 0.25]
    return x


def network(pool=None, relu=None, last=None):
    mf.seed(0)
    layers = mf.Conv2d(2, 3, 3, padding=1), relu or mf.ReLU(), pool or mf.MaxPool2d(2), mf.Flatten()
    return mf.Sequential(*layers, last or mf.Linear(48, 3))


def test_a_right_backward_passes_on_a_plain_picture_and_the_report_says_how():
    report = mf.check_gradients(network(), plain_picture(), loss="cross_entropy", target=np.array([1]))
    row = report["input"]
    assert report.passed and report.max_error < 1e-6
    assert row.kinks > 0 and row.beside > 0 and row.kinks + row.beside < row.numeric.size
    assert f"{row.kinks} at a kink left out, {row.beside} at several kinks compared beside them" in repr(report)


def test_windows_that_overlap_are_ties_of_one_layer_alone():
    x = plain_picture() + 0.01 * normal(1, 8, 8, 2) * (np.arange(8) > 3)[:, None]  # plain on the left
    report = mf.check_gradients(mf.MaxPool2d(3, stride=1), x)
    assert report.passed and report["input"].beside > 0


def test_weights_inputs_and_random_state_are_as_before():
    model, x, state = network(), plain_picture(), mf.random.get_state()
    before = [np.array(p.value) for p in model.parameters()]
    assert mf.check_gradients(model, x)["input"].beside > 0
    assert all(np.array_equal(a, np.array(p.value)) for a, p in zip(before, model.parameters()))
    assert np.array_equal(x, plain_picture()) and mf.random.get_state() == state


class AllWinners(mf.MaxPool2d):
    """Every pixel that is as large as the largest gets the whole gradient."""

    def forward(self, x):
        y = super().forward(x)
        self.saved = self.saved, x, y
        return y

    def backward(self, grad_output):
        _, x, y = self.saved
        return (x == mx.repeat(mx.repeat(y, 2, 1), 2, 2)) * mx.repeat(mx.repeat(grad_output, 2, 1), 2, 2)


class NoWinner(AllWinners):
    """Where several are the largest, none gets anything."""

    def backward(self, grad_output):
        _, x, y = self.saved
        same = (x == mx.repeat(mx.repeat(y, 2, 1), 2, 2)).astype(x.dtype)
        n, h, w, c = y.shape
        count = same.reshape(n, h, 2, w, 2, c).sum(axis=(2, 4))
        return same * mx.repeat(mx.repeat(mx.where(count == 1, grad_output, 0), 2, 1), 2, 2)


class SlightlyTooMuch(mf.MaxPool2d):
    def backward(self, grad_output):
        return 1.001 * super().backward(grad_output)


class TooMuchAtTies(AllWinners):
    """The winner of a tie gets too much; where there is none, all is right."""

    def backward(self, grad_output):
        saved, x, y = self.saved
        n, h, w, c = y.shape
        self.saved = saved
        right = mf.MaxPool2d.backward(self, grad_output)
        self.saved = saved, x, y
        count = (x == mx.repeat(mx.repeat(y, 2, 1), 2, 2)).reshape(n, h, 2, w, 2, c).sum(axis=(2, 4))
        return right * mx.repeat(mx.repeat(mx.where(count > 1, 1.5, 1.0), 2, 1), 2, 2)


class WrongAtZero(mf.ReLU):
    def backward(self, grad_output):
        return mx.where(self.saved == 0, -0.5 * grad_output, super().backward(grad_output))


class WrongInput(mf.Linear):
    def backward(self, grad_output):
        return super().backward(grad_output) * mx.where(mx.arange(self.in_features) == 20, 0.9, 1.0)


@pytest.mark.parametrize("pool", [AllWinners(2), NoWinner(2), SlightlyTooMuch(2), TooMuchAtTies(2)])
def test_a_wrong_choice_at_a_tie_or_a_wrong_factor_is_caught(pool):
    assert not mf.check_gradients(network(pool=pool), plain_picture()).passed


def test_a_wrong_backward_of_another_layer_is_caught_on_a_plain_picture():
    report = mf.check_gradients(network(last=WrongInput(48, 3)), plain_picture())
    assert not report.passed and not report["input"].passed


def test_a_wrong_value_at_relus_corner_is_caught_where_corners_add_up():
    model = network(relu=WrongAtZero())
    model[0].bias.value = mx.zeros(3)
    assert np.count_nonzero(np.array(model[0](mx.array(plain_picture().astype(np.float32)))) == 0) > 20
    assert not mf.check_gradients(model, plain_picture()).passed


def test_a_mistake_in_a_module_without_layers_inside_is_caught():
    class Corners(mf.Module):
        """y = |x₁| - |x₂|, all at 0 but one."""

        def __init__(self, at_zero):
            self.at_zero = at_zero

        def forward(self, x):
            self.saved = x
            return abs(x) * mx.array([1.0, -1.0])

        def backward(self, grad_output):
            slope = mx.where(self.saved == 0, self.at_zero, mx.sign(self.saved))
            return grad_output * slope * mx.array([1.0, -1.0])

    x = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, -2.0]])
    assert mf.check_gradients(Corners(0.0), x).passed
    assert not mf.check_gradients(Corners(1.1), x).passed
