"""Starting weights: their distributions, their fans, and what they are for."""

import math

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import miniframe as mf
from miniframe import initializers as init

SHAPE = (400, 300)  # enough numbers for statistics to settle: a standard error of 0.3%
FAN_IN, FAN_OUT = 300, 400


def numbers(array):
    assert array.dtype == mx.float32
    return np.array(array).astype(np.float64)


def assert_uniform(values, bound):
    """Inside the bounds, reaching them, flat: each tenth of the interval holds a tenth of the numbers."""
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    assert np.abs(values).max() > 0.999 * bound
    counts, _ = np.histogram(values, bins=10, range=(-bound, bound))
    np.testing.assert_allclose(counts / values.size, 0.1, atol=0.005)


def assert_normal(values, std):
    """Mean 0, this standard deviation, and the shares within one, two and three of them."""
    assert abs(values.mean()) < 0.01 * std
    assert abs(values.std() / std - 1) < 0.01
    for width, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert abs((np.abs(values) < width * std).mean() - share) < 0.005


@pytest.mark.parametrize(
    "draw, bound",
    [
        (lambda: init.uniform(SHAPE, 0.3), 0.3),
        (lambda: init.xavier_uniform(SHAPE), math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda: init.xavier_uniform(SHAPE, gain=2.0), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda: init.kaiming_uniform(SHAPE), math.sqrt(2) * math.sqrt(3 / FAN_IN)),
        (lambda: init.kaiming_uniform(SHAPE, gain=1.0), math.sqrt(3 / FAN_IN)),
    ],
)
def test_uniform_initializers_fill_their_interval_evenly(draw, bound):
    assert_uniform(numbers(draw()), bound)


@pytest.mark.parametrize(
    "draw, std",
    [
        (lambda: init.normal(SHAPE, 0.3), 0.3),
        (lambda: init.xavier_normal(SHAPE), math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda: init.xavier_normal(SHAPE, gain=0.5), 0.5 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        (lambda: init.kaiming_normal(SHAPE), math.sqrt(2 / FAN_IN)),
        (lambda: init.kaiming_normal(SHAPE, gain=1.0), math.sqrt(1 / FAN_IN)),
    ],
)
def test_normal_initializers_have_their_standard_deviation(draw, std):
    assert_normal(numbers(draw()), std)


def test_zeros_and_constant_hold_one_number():
    assert numbers(init.zeros((3, 2))).tolist() == [[0, 0]] * 3
    assert numbers(init.constant((3, 2), 0.25)).tolist() == [[0.25, 0.25]] * 3


@pytest.mark.parametrize("shape, expected", [((25, 2), (2, 25)), ((32, 3, 5, 16), (240, 480)), ((8, 7, 4), (28, 56))])
def test_fans_count_the_window_too(shape, expected):
    assert init.fans(shape) == expected


def test_fans_of_a_vector_are_an_error():
    with pytest.raises(ValueError, match=r"fans: expected a weight shape \(outputs, ..., inputs\), got \(5,\)"):
        init.fans((5,))


def test_fans_of_a_convolution_set_the_bound():
    values = numbers(init.kaiming_uniform((64, 3, 3, 32), gain=1.0))
    assert_uniform(values, math.sqrt(3 / (3 * 3 * 32)))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_orthogonal_matrices_are_orthogonal(rows, columns, seed):
    mf.seed(seed)
    matrix = numbers(init.orthogonal((rows, columns)))
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-5)


def test_orthogonal_keeps_the_layout_of_a_convolution_and_its_gain():
    weight = numbers(init.orthogonal((8, 3, 3, 2), gain=3.0))
    assert weight.shape == (8, 3, 3, 2)
    rows = weight.reshape(8, -1)
    np.testing.assert_allclose(rows @ rows.T, 9 * np.eye(8), atol=1e-4)


def test_orthogonal_is_uniform_over_rotations():
    corners = np.array([numbers(init.orthogonal((3, 3)))[0, 0] for _ in range(400)])
    assert abs(corners.mean()) < 0.1  # without the sign of R, MLX's factors would prefer one sign
    assert abs((corners**2).mean() - 1 / 3) < 0.05


@pytest.mark.parametrize(
    "name, expected",
    [("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("relu", 2**0.5), ("leaky_relu", (2 / 1.0001) ** 0.5)],
)
def test_gain_knows_the_usual_nonlinearities(name, expected):
    assert math.isclose(init.gain(name), expected)


def test_gain_of_a_steeper_leak_and_of_an_unknown_name():
    assert math.isclose(init.gain("leaky_relu", slope=1.0), 1.0)
    with pytest.raises(ValueError, match="unknown nonlinearity 'gelou'; known: linear.*leaky_relu"):
        init.gain("gelou")


def test_the_same_seed_gives_the_same_weights():
    for draw in (init.xavier_uniform, init.xavier_normal, init.kaiming_uniform, init.kaiming_normal, init.orthogonal):
        mf.seed(3)
        first = draw((5, 4))
        again = draw((5, 4))
        mf.seed(3)
        assert mx.array_equal(first, draw((5, 4))) and not mx.array_equal(first, again)


def test_kaiming_keeps_the_size_of_activations_through_many_relu_layers():
    def last_size(start):
        x = mx.random.normal((200, 256))
        for _ in range(20):
            x = mx.maximum(x @ start((256, 256)).T, 0)
        return mx.sqrt(mx.square(x).mean()).item()

    assert 0.3 < last_size(init.kaiming_normal) < 3
    assert last_size(init.xavier_normal) < 0.01  # too small for ReLU: halved in every layer


def test_xavier_keeps_the_size_of_gradients_through_many_linear_layers():
    gradient = mx.random.normal((200, 256))
    for _ in range(20):
        gradient = gradient @ init.xavier_uniform((256, 256))
    assert 0.3 < mx.sqrt(mx.square(gradient).mean()).item() < 3
