"""Grad-CAM: equal to the class activation map where both exist; enlarged as PyTorch does it."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import explain


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


def test_grad_cam_before_a_mean_and_a_linear_layer_is_the_class_activation_map(model, images):
    model["last"].weight.value = mx.broadcast_to(mx.array([1.0, -0.7, 0.5, -0.3, 0.2]), (3, 5))
    maps = np.array(explain.activation_maps(model, images, "block"))
    evidence = (maps * np.array(model["last"].weight.value)[2]).sum(-1)
    assert evidence.max(axis=(1, 2)).min() > 0 > evidence.min(), "evidence for the class and against it"
    expected = np.maximum(evidence, 0)
    enlarged = np.array(explain.cam.enlarge(mx.array(expected), (8, 6)))
    close(explain.grad_cam(model, images, "block", 2), enlarged / enlarged.max(axis=(1, 2), keepdims=True))


def test_enlarging_agrees_with_pytorch():
    import torch

    maps = normal(2, 3, 4).astype(np.float32)
    ours = explain.cam.enlarge(mx.array(maps), (7, 12))
    theirs = torch.nn.functional.interpolate(torch.tensor(maps)[None], size=(7, 12), mode="bilinear")[0]
    close(ours, theirs)


def test_overlay_is_red_where_the_map_is_one_and_the_paler_image_elsewhere():
    images = mx.full((1, 2, 2, 3), 0.4)
    maps = mx.array([[[0.0, 1.0], [0.0, 0.0]]])
    drawn = explain.overlay(images, maps, strength=0.6)
    close(drawn[0, 0, 0], [0.4, 0.4, 0.4])
    assert drawn[0, 0, 1, 0].item() > 0.7
