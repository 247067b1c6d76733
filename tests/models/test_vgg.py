"""VGG: the shapes of the figure, and gradients from the logits to the image."""

import mlx.core as mx
import numpy as np
from harness import normal

from miniframe import models


def test_vgg16_maps_an_image_to_1000_classes_through_the_shapes_of_the_figure():
    summary = models.vgg16().summary((224, 224, 3))
    pooled = [row.output_shape for row in summary.rows if "MaxPool" in row.layer]
    assert pooled == [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    assert summary.rows[-1].output_shape == (1000,)
    assert summary.multiply_adds == 15_470_264_320


def test_a_small_vgg_sends_gradients_from_the_logits_to_the_image():
    model = models.vgg([(4, 4), (8,)], num_classes=5, batch_norm=True)
    x = mx.array(normal(2, 32, 48, 3, seed=3).astype(np.float32))
    y = model(x)
    grad = model.backward(mx.ones_like(y))
    assert grad.shape == x.shape and mx.abs(grad).max().item() > 0
    assert all(p.grad is not None and mx.isfinite(p.grad).all().item() for p in model.parameters())
    names = [path for path, _ in model.named_parameters()]
    assert names[:2] == ["features.0.weight", "features.0.bias"] and names[-1] == "classifier.6.bias"
