"""PReLU against three witnesses."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("slopes", ["one", "several"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 3), (2, 3, 5, 4)], ids=str)
def test_gradient_agrees_with_three_witnesses(shape, slopes, training):
    count = 1 if slopes == "one" else shape[-1]
    layer, reference = mf.PReLU(count, start=0.3).train(training), torch.nn.PReLU(count)
    values = (0.3 + 0.2 * normal(count, seed=3)).astype(np.float32)
    layer.weight.value, reference.weight.data = mx.array(values), torch.tensor(values)
    x = normal(*shape, seed=7)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(
        layer,
        reference,
        x,
        weights={"weight": (reference.weight, lambda a: a)},
        layout=lambda a: np.moveaxis(a, -1, 1).copy(),
        back=lambda a: np.moveaxis(a, 1, -1),
    )


def test_it_starts_as_a_leaky_relu_and_learns():
    layer, x = mf.PReLU(start=0.1), mx.array(normal(4, 3)).astype(mx.float32)
    close(layer(x), mf.LeakyReLU(0.1)(x))
    mf.seed(0)
    model = mf.Sequential(mf.Linear(3, 4), mf.PReLU(4), mf.Linear(4, 1))
    model.fit(x, mx.ones((4, 1)), loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=2, verbose=0)
    assert not mx.all(model[1].weight.value == 0.25)


def test_a_layer_used_twice_gets_both_gradients():
    layer = mf.PReLU(3)
    by_differences(mf.Sequential(layer, mf.Linear(3, 3), layer), normal(4, 3))


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.PReLU(3).title() == "PReLU(3)"
    with pytest.raises(ValueError, match="PReLU: expected num_parameters >= 1, got 0"):
        mf.PReLU(0)
    with pytest.raises(ValueError, match=r"PReLU\(3\): expected input \(batch, ..., 3\), got \(2, 4\)"):
        mf.PReLU(3)(mx.zeros((2, 4)))
    with pytest.raises(TypeError, match="expected real numbers"):
        mf.PReLU()(mx.zeros((2, 3), dtype=mx.int32))
