"""Images that a unit likes most: the activation rises, by as much as is said."""

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


class TestMaximizing:
    def test_the_activation_rises_and_the_result_says_by_how_much(self, model):
        result = explain.maximize_activation(model, "block", 1, (12, 10, 3), steps=30, jitter=1)
        assert result.image.shape == (12, 10, 3) and 0 <= result.image.min().item() <= result.image.max().item() <= 1
        assert result.end > result.start and len(result.history) == 30
        seen = explain.activation_maps(model, result.image[None], "block")[..., 1].mean()
        close(result.end, seen)

    def test_a_filter_for_red_turns_the_image_red(self):
        conv = mf.Conv2d(3, 1, 1, bias=False)
        conv.weight.value = mx.array([1.0, -1.0, -1.0]).reshape(1, 1, 1, 3)
        image = explain.maximize_activation(mf.Sequential(conv), "0", 0, (5, 5, 3), steps=60).image
        close(image, np.broadcast_to([1.0, 0.0, 0.0], (5, 5, 3)))

    def test_without_bounds_it_rises_further_and_the_picture_is_brought_back(self, model):
        within, beyond = (
            explain.maximize_activation(model, "conv1", 0, (8, 8, 3), steps=60, rate=0.1, bounded=bounded)
            for bounded in (True, False)
        )
        assert beyond.end > 2 * within.end > 0 and beyond.image.max().item() > 1
        picture, image = np.array(beyond.picture()), np.array(beyond.image)
        assert 0 <= picture.min() < picture.max() <= 1
        close(picture, np.clip(0.5 + (image - image.mean()) / (6 * image.std()), 0, 1))

    def test_the_gradient_under_jitter_is_that_of_the_unshifted_image(self, model):
        image = mx.array(normal(1, 8, 6, 3).astype(np.float32))

        def activation(image):
            return model[:4](mx.roll(mx.roll(image, 2, 1), -1, 2))[..., 1].mean()

        model.eval()
        value, gradient = explain.maximize.activation_and_gradient(model, "block", 1, image, (2, -1))
        close(value, activation(image))
        close(gradient, mx.grad(activation)(image))

    def test_blur_makes_the_image_smoother(self, model):
        rough, smooth = (
            np.array(explain.maximize_activation(model, "block", 0, (16, 16, 3), steps=30, blur=blur).image)
            for blur in (0, 1.0)
        )
        assert np.square(np.diff(smooth, axis=0)).sum() < 0.7 * np.square(np.diff(rough, axis=0)).sum()

    def test_a_class_score_can_be_raised_too(self, model):
        result = explain.maximize_activation(model, "last", -1, (8, 8, 3), steps=10)
        assert result.end > result.start

    def test_the_seed_makes_it_repeatable(self, model):
        first, again, other = (
            explain.maximize_activation(model, "conv1", 0, (8, 8, 3), steps=3, seed=seed).image for seed in (0, 0, 1)
        )
        assert mx.array_equal(first, again) and not mx.array_equal(first, other)
