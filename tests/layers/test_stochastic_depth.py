"""Stochastic depth drops the right share of samples, keeps the mean, and uses one mask for both directions."""

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, by_mx_grad, close, normal

import miniframe as mf


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_gradient_agrees_with_the_differences_in_both_modes(mode):
    for layer in (mf.StochasticDepth(0.3, mode), mf.StochasticDepth(0.0, mode)):
        by_mx_grad(layer, normal(8, 3))
        by_mx_grad(layer.eval(), normal(8, 3))
    for layer in (mf.StochasticDepth(0.3, "row"), mf.StochasticDepth(0.3, mode).eval()):
        by_differences(layer, normal(8, 3))


def test_whole_samples_are_dropped_and_backward_uses_the_mask_of_forward():
    layer = mf.StochasticDepth(0.2)
    y = np.array(layer(mx.ones((5000, 2, 3))))
    kept = y[:, 0, 0] > 0
    assert abs((~kept).mean() - 0.2) < 0.02 and abs(y.mean() - 1) < 0.02
    close(y[kept], np.full_like(y[kept], 1.25))
    close(layer.backward(mx.ones((5000, 2, 3))), y)


def test_mode_batch_draws_once_for_all():
    layer = mf.StochasticDepth(0.5, "batch")
    mf.seed(0)
    seen = {tuple(sorted(set(layer(mx.ones((4, 2))).reshape(-1).tolist()))) for _ in range(30)}
    assert seen == {(0.0,), (2.0,)}


def test_in_evaluation_it_is_the_identity():
    layer, x = mf.StochasticDepth(0.9).eval(), mx.array(normal(3, 4))
    assert mx.array_equal(layer(x), x) and mx.array_equal(layer.backward(x), x)


def test_a_compiled_fit_draws_anew_in_every_step():
    mf.seed(0)
    block = mf.Residual(mf.Sequential(mf.Linear(3, 3), mf.StochasticDepth(0.5)))
    x = mx.array(normal(16, 3)).astype(mx.float32)
    losses = block.fit(x, x, loss="mse", optimizer=mf.SGD(block, lr=1e-9), epochs=6, verbose=0).history["loss"]
    assert len(set(losses)) > 3


def test_unsuitable_settings_are_refused():
    assert mf.StochasticDepth(0.2).title() == "StochasticDepth(0.2, row)"
    with pytest.raises(ValueError, match="expected a probability 0 <= p < 1, got 1"):
        mf.StochasticDepth(1.0)
    with pytest.raises(ValueError, match='expected mode "row" or "batch", got .*sample'):
        mf.StochasticDepth(0.2, "sample")
