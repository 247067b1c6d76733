"""Sums of many numbers agree with double precision, and so does what losses, metrics and layers make of them."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.sums import BLOCK, LONG, MANY, mean, products, sums_at, total
from miniframe.training import metrics

FIFTY_MILLION = 50_000_000


def numbers(kind, size, seed=0):
    """Positive numbers, either all alike, where rounding always errs to the same side, or random."""
    if kind == "equal":
        return np.full(size, 0.1 * (1 + seed), np.float32)
    return np.random.default_rng(seed).uniform(0.5, 1.5, size=size).astype(np.float32)


@pytest.mark.parametrize("kind", ["equal", "random"])
@pytest.mark.parametrize(
    "shape",
    [(0,), (), (1,), (BLOCK - 1,), (LONG,), (LONG + 1,), (3 * LONG + 17,), (BLOCK**2 + 5,), (BLOCK * LONG + 1,)]
    + [(0, 3), (3, 0), (LONG + 3, 2), (5, LONG), (300, 7, 50), (40_000, 3, 2), (5_000_000, 1)],
)
def test_a_sum_agrees_with_double_precision(shape, kind):
    x = numbers(kind, shape)
    wide, found = x.astype(np.float64), mx.array(x)
    assert total(found).item() == pytest.approx(wide.sum(), rel=1e-5, abs=1e-12)
    if x.size:
        assert mean(found).item() == pytest.approx(wide.mean(), rel=1e-5)
    if shape:
        np.testing.assert_allclose(np.array(total(found, axis=0)), wide.sum(axis=0), rtol=1e-5)
        if shape[0]:
            np.testing.assert_allclose(np.array(mean(found, axis=0)), wide.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (LONG,), (LONG + 1,), (LONG + 3, 2), (40_000, 3, 2), (5, LONG)])
def test_every_number_is_added_once(shape):
    x = np.random.default_rng(0).integers(0, 9, shape).astype(np.float32)
    assert total(mx.array(x)).item() == x.sum(dtype=np.float64)
    np.testing.assert_array_equal(np.array(total(mx.array(x), axis=0)), x.sum(axis=0))


def test_views_and_other_types_are_summed_too():
    x = np.random.default_rng(0).integers(0, 9, (3, 2000)).astype(np.float32)
    for view in (mx.array(x).T, mx.array(x).T[::-1], mx.broadcast_to(mx.array(x)[:, :1], (3, 2000)).T):
        np.testing.assert_array_equal(np.array(total(view, axis=0)), np.array(view).sum(axis=0))
        assert total(view).item() == np.array(view).sum()
    for kind in (mx.int32, mx.uint8, mx.bool_):
        assert total(mx.array(x).astype(kind)).item() == np.array(mx.array(x).astype(kind)).sum(dtype=int)
    wide = mx.array(np.full(5000, 0.1), dtype=mx.float64)
    with mx.stream(mx.cpu):
        assert mean(wide).dtype == mx.float64 and mean(wide).item() == pytest.approx(0.1, rel=1e-14)


@pytest.mark.parametrize("rows", [0, 1, 5, MANY, MANY + 1, 2 * MANY, 3 * MANY + 17])
@pytest.mark.parametrize("front", [(), (2,)])
def test_products_over_rows_are_those_of_a_matrix_product(rows, front):
    a, b = numbers("random", (*front, rows, 3)), numbers("random", (*front, rows, 2), seed=1)
    found = np.array(products(mx.array(a), mx.array(b)))
    expected = np.swapaxes(a.astype(np.float64), -1, -2) @ b.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 2 * LONG])
@pytest.mark.parametrize("size", [0, 1, LONG, LONG + 1, 5 * LONG + 3])
def test_rows_are_added_at_their_places(size, count):
    places = np.random.default_rng(0).integers(0, count, size)
    rows = np.random.default_rng(1).integers(0, 9, (size, 2)).astype(np.float32)
    expected = np.zeros((count, 2))
    np.add.at(expected, places, rows)
    assert np.array_equal(np.array(sums_at(mx.array(places), mx.array(rows), count)), expected)


def made_of(x, y):
    """What losses, metrics and layers make of very many samples, beside the same in double precision."""
    wide, wide_y = x.astype(np.float64), y.astype(np.float64)
    off, a, b = wide - wide_y, mx.array(x)[:, None], mx.array(y)[:, None]
    for loss, expected in ((mf.MSELoss, off**2), (mf.L1Loss, np.abs(off))):
        yield loss.__name__, loss()(a, b), expected.mean()
        yield f"{loss.__name__}, sum", loss(reduction="sum")(a, b), expected.sum()
    yield "mse", metrics.measure("mse", metrics.NAMES["mse"], a, b), (off**2).mean()
    yield "mae", metrics.measure("mae", metrics.NAMES["mae"], a, b), np.abs(off).mean()
    yield "accuracy", metrics.measure("accuracy", metrics.accuracy, a, b), ((x > 0.5) == (y > 0.5)).mean()
    for layer in (mf.Linear(1, 1), mf.Conv1d(1, 1, 1), mf.Conv2d(1, 1, 1)):
        shape = (-1, *(100, 10)[: layer.weight.value.ndim - 2], 1)
        layer(a.reshape(shape))
        layer.backward(b.reshape(shape))
        name = type(layer).__name__
        yield f"{name}: dW", layer.weight.grad, (wide * wide_y).sum()
        yield f"{name}: db", layer.bias.grad, wide_y.sum()
    slope = mf.PReLU()
    slope(-a)
    slope.backward(b)
    yield "PReLU", slope.weight.grad, -(wide * wide_y).sum()
    table = mf.Embedding(2, 1)
    table(mx.zeros(x.shape, dtype=mx.int32))
    table.backward(b)
    yield "Embedding", table.weight.grad[0], wide_y.sum()
    norm = mf.LayerNorm(1)
    norm(a)
    norm.backward(b)
    yield "LayerNorm: db", norm.bias.grad, wide_y.sum()
    for name, node, expected in (
        ("x + p", lambda v, p: v + p, wide_y.sum()),
        ("x * p", lambda v, p: v * p, (wide * wide_y).sum()),
        ("x @ p", lambda v, p: v @ p, (wide * wide_y).sum()),
    ):
        p = mf.Variable(mx.ones((1, 1)))
        z = node(mf.Variable(a), p)
        z.backward(b)
        yield name, p.grad, expected
    yield "node.mean()", mf.Variable(a).mean().value, wide.mean()
    yield "node.sum(axis=0)", mf.Variable(a).sum(axis=0).value, wide.sum()


SIZES = [200_000, pytest.param(FIFTY_MILLION, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kind", ["equal", "random"])
@pytest.mark.parametrize("size", SIZES)
def test_losses_metrics_and_gradients_agree_with_double_precision_to_1e_minus_5(size, kind):
    for name, found, expected in made_of(numbers(kind, size), numbers(kind, size, seed=1)):
        assert np.array(found).item() == pytest.approx(expected, rel=1e-5), name


@pytest.mark.parametrize("size", SIZES)
def test_statistics_of_a_batch_agree_with_double_precision_to_1e_minus_5(size):
    x, dy = numbers("random", size) + np.float32(10), numbers("random", size, seed=1)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    layer = mf.BatchNorm(1, momentum=1.0)
    y = layer(mx.array(x)[:, None])
    dx = layer.backward(mx.array(dy)[:, None])
    mu, sigma = wide.mean(), np.sqrt(wide.var() + layer.eps)
    x_hat = (wide - mu) / sigma
    assert layer.running_mean.value.item() == pytest.approx(mu, rel=1e-6)
    assert layer.running_var.value.item() == pytest.approx(wide.var(ddof=1), rel=1e-5)
    assert layer.bias.grad.item() == pytest.approx(wide_dy.sum(), rel=1e-5)
    scale = np.abs(wide_dy * x_hat).sum()
    assert layer.weight.grad.item() == pytest.approx((wide_dy * x_hat).sum(), abs=1e-5 * scale)
    some = slice(0, 1000)
    np.testing.assert_allclose(np.array(y)[some, 0], x_hat[some], atol=1e-4)
    expected = (wide_dy - wide_dy.mean() - x_hat * (wide_dy * x_hat).mean()) / sigma
    np.testing.assert_allclose(np.array(dx)[some, 0], expected[some], atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_norm_of_very_many_gradients_agrees_with_double_precision(size):
    parameter = mf.Parameter(mx.zeros((size,)))
    optimizer = mf.SGD([parameter], lr=1.0, clip_norm=1.0)
    parameter.accumulate(mx.full((size,), 0.1))
    optimizer.step()
    expected = -0.1 / (np.sqrt(size) * 0.1)
    np.testing.assert_allclose(np.array(parameter.value[:3]), expected, rtol=1e-5)
