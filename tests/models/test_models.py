"""The models: their sizes, their gradients, and a toy of which every weight is proven."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe import initializers, models

PARAMETERS = {
    "lenet": 61_706,
    "toy_classifier": 4_381,
    "jellyfish": 4_381,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
}


@pytest.fixture
def weights_for_nothing(monkeypatch):
    """Large models are made at once: all numbers of a weight are the same zero."""
    for name in ("uniform", "kaiming_normal"):
        monkeypatch.setattr(initializers, name, lambda shape, *rest: mx.broadcast_to(mx.zeros(()), shape))


@pytest.mark.parametrize("name", PARAMETERS)
def test_models_have_as_many_parameters_as_in_the_literature(name, weights_for_nothing):
    assert sum(p.size for p in getattr(models, name)().parameters()) == PARAMETERS[name]


def test_models_take_the_number_of_classes(weights_for_nothing):
    assert models.lenet(7, in_channels=3)(mx.zeros((2, 28, 28, 3))).shape == (2, 7)
    assert models.toy_classifier(3)(mx.zeros((2, 9, 11, 3))).shape == (2, 3)
    for make in (models.vgg11, models.vgg19_bn, models.resnet18):
        assert make(num_classes=7).summary((64, 96, 3)).rows[-1].output_shape == (7,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn", "resnet18"])
def test_large_models_run_forward_and_backward_on_an_image_of_imagenet_size(name):
    model = getattr(models, name)().eval()
    x = mx.array(normal(1, 224, 224, 3, seed=3).astype(np.float32))
    y = model(x)
    assert y.shape == (1, 1000) and mx.isfinite(y).all().item()
    grad = model.backward(mx.ones_like(y))
    assert grad.shape == x.shape and mx.abs(grad).max().item() > 0
    for path, p in model.named_parameters():
        assert p.grad.shape == p.shape and mx.isfinite(p.grad).all().item(), path


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_activations_keep_their_size_through_all_layers(name):
    model = getattr(models, name)(num_classes=5)
    x = mx.array(normal(2, 64, 64, 3, seed=3).astype(np.float32))
    features = model["features"] if name == "vgg11" else model[:8]
    assert 0.3 < mx.sqrt((features(x) ** 2).mean()).item() < 30


@pytest.mark.parametrize(
    "name, size", [("lenet", (28, 28, 1)), ("toy_classifier", (9, 8, 3)), ("resnet18", (32, 32, 3))]
)
def test_models_survive_a_file_with_their_running_statistics(name, size, tmp_path):
    model = getattr(models, name)()
    x = mx.array(normal(2, *size, seed=3).astype(np.float32))
    model(x)  # moves the running statistics
    model.save(tmp_path / "model.safetensors")
    again = mf.load(tmp_path / "model.safetensors")
    assert mx.array_equal(again.eval()(x), model.eval()(x))
