"""The drawn shapes: learned quickly, and the reasons lie where the object is."""

import numpy as np
import pytest
from loading import load_script

import miniframe as mf


@pytest.mark.slow
def test_a_small_network_learns_the_shapes_and_looks_at_them():
    vision = load_script("figures/vision.py")
    model, _ = vision.train(verbose=0)
    images, labels, boxes = mf.datasets.shapes(300, seed=1, boxes=True)
    assert model.evaluate(images, labels)["accuracy"] > 0.95
    shares = vision.share_inside(mf.explain.saliency(model, images, times_input=True), boxes)
    assert np.mean(shares > 0.8) > 0.5, "most saliency inside the box, for most images"
    heat = vision.share_inside(mf.explain.grad_cam(model, images, "relu2", labels), boxes)
    area = np.mean([(b[2] - b[0]) * (b[3] - b[1]) / 32**2 for b in boxes.tolist()])
    assert heat.mean() > 2 * area
    for layer in ("relu1", "relu2", "relu3"):
        for result in vision.maximal(model, layer, [0, 4]):
            assert result.end >= 10 * result.start
