"""Double-precision functions that are accurate to the last digits."""

import math
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest

from miniframe.checking.precise import precise

X = np.random.default_rng(0).uniform(-8, 8, (5, 7))
REFERENCES = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf),
    "sin": np.sin,
    "cos": np.cos,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "logsumexp": lambda x: np.log(np.exp(x).sum()),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_agrees_with_numpy_to_fourteen_digits(name):
    with mx.stream(mx.cpu), precise():
        actual = np.array(getattr(mx, name)(mx.array(X, dtype=mx.float64)))
    np.testing.assert_allclose(actual, REFERENCES[name](X), rtol=1e-13, atol=1e-14)


def test_logaddexp_and_axes():
    with mx.stream(mx.cpu), precise():
        x = mx.array(X, dtype=mx.float64)
        np.testing.assert_allclose(np.array(mx.logaddexp(x, 0)), np.logaddexp(X, 0), rtol=1e-13)
        np.testing.assert_allclose(
            np.array(mx.logsumexp(x, axis=1, keepdims=True)), np.log(np.exp(X).sum(1, keepdims=True)), rtol=1e-13
        )
        np.testing.assert_allclose(np.array(x.exp()), np.exp(X), rtol=1e-13)


def test_everything_is_put_back_and_float32_is_left_alone():
    before = mx.exp, mx.array.exp
    x = mx.array(X.astype(np.float32))
    expected = mx.exp(x)
    with precise():
        assert mx.exp is not before[0]
        assert mx.array_equal(mx.exp(x), expected)
    assert (mx.exp, mx.array.exp) == before


def test_other_threads_go_on_as_they_did():
    x = mx.array(X, dtype=mx.float64)

    def rough():
        with mx.stream(mx.cpu):
            return np.array(mx.exp(x))

    expected = rough()
    with precise(), ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(rough).result(), expected)
        assert not np.array_equal(rough(), expected)
