"""Drawn shapes: balanced classes, right boxes, the geometry of their names."""

import numpy as np

from miniframe import datasets


def test_shapes_are_images_of_balanced_classes():
    x, labels = datasets.shapes(601)
    assert x.shape == (601, 32, 32, 3) and 0 <= x.min().item() and x.max().item() <= 1
    assert sorted(np.bincount(np.array(labels)).tolist()) == [200, 200, 201]


def test_boxes_hold_the_object_and_nothing_less():
    images, _, boxes = map(np.array, datasets.shapes(100, noise=0, boxes=True))
    for image, (top, left, bottom, right) in zip(images, boxes):
        different = (abs(image - image[0, 0]) > 1e-6).any(axis=-1)  # the corner is always ground
        rows, columns = np.where(different.any(1))[0], np.where(different.any(0))[0]
        assert (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) == (top, left, bottom, right)
        assert 0 < top and 0 < left and bottom < 32 and right < 32


def test_the_three_shapes_fill_their_boxes_as_their_geometry_says():
    images, labels, boxes = map(np.array, datasets.shapes(300, noise=0, boxes=True))
    filled = [[], [], []]
    for image, label, (top, left, bottom, right) in zip(images, labels, boxes):
        different = abs(image - image[0, 0]).sum(-1)
        filled[label].append((different / different.max()).sum() / ((bottom - top) * (right - left)))
    circle, square, triangle = map(np.mean, filled)
    assert triangle < square < circle < 0.79  # a circle covers π/4 of its box, a turned square less, a triangle half
    assert abs(circle - np.pi / 4) < 0.12
