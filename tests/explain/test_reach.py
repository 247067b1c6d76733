"""Any layer of any model is reached, by its path or by itself."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import explain
from miniframe.explain.reach import find_layer


@pytest.fixture
def model():
    return mf.Sequential(
        {
            "conv1": mf.Conv2d(3, 4, 3, padding=1),
            "relu1": mf.ReLU(),
            "pool": mf.MaxPool2d(2),
            "block": mf.Sequential(mf.Conv2d(4, 5, 3, padding=1), mf.BatchNorm(5), mf.ReLU()),
            "drop": mf.Dropout(0.5),
            "mean": mf.GlobalAvgPool2d(),
            "last": mf.Linear(5, 3),
        }
    )


@pytest.fixture
def images():
    return mx.array(normal(2, 8, 6, 3).astype(np.float32))


def test_a_layer_is_named_by_path_or_given_itself(model, images):
    first = explain.activation_maps(model, images, "conv1")
    close(first, model["conv1"](images))
    assert mx.array_equal(first, explain.activation_maps(model, images, model["conv1"]))
    inner = explain.activation_maps(model, images, "block.2")
    assert inner.shape == (2, 4, 3, 5)
    assert mx.array_equal(inner, explain.activation_maps(model, images, "block"))


def test_a_custom_model_that_composes_layers_is_reached_too(images):
    class Net(mf.Module):
        def __init__(self):
            self.conv, self.out = mf.Conv2d(3, 2, 3), mf.Linear(2, 2)

        def forward(self, x):
            return self.out(mf.GlobalAvgPool2d()(self.conv(x)))

    net = Net()
    close(explain.activation_maps(net, images, "conv"), net.conv(images))
    chain = mf.Sequential(net.conv, mf.GlobalAvgPool2d(), net.out)
    heat = explain.grad_cam(net, images, "conv", 1)
    assert heat.shape == (2, 8, 6) and mx.array_equal(heat, explain.grad_cam(chain, images, "0", 1))


def test_a_layer_is_found_by_its_position_too():
    model = mf.Sequential(mf.Linear(2, 3), mf.ReLU())
    assert find_layer(model, 0) is model[0] and find_layer(model, -1) is model[1]
    with pytest.raises(ValueError, match="no layer 2; this Sequential has 2"):
        find_layer(model, 2)
