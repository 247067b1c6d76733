"""Answers to "why": equal to their definitions computed another way, and the model is left as it was."""

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


def score(model, x, target):
    rows = mx.arange(x.shape[0])
    return model.eval()(x)[rows, mx.array(target)]


def test_input_gradient_is_the_derivative_of_the_score(model, images):
    gradient = explain.input_gradient(model, images, [2, 0])
    close(gradient, mx.grad(lambda x: score(model, x, [2, 0]).sum())(images))
    saliency = explain.saliency(model, images, [2, 0])
    close(saliency, np.abs(np.array(gradient)).max(-1))
    close(explain.saliency(model, images, [2, 0], times_input=True), mx.abs((gradient * images).sum(-1)))


def test_without_a_target_the_predicted_class_is_asked_about(model, images):
    predicted = model.predict(images).argmax(-1)
    assert mx.array_equal(explain.saliency(model, images), explain.saliency(model, images, predicted))
    assert mx.array_equal(explain.saliency(model, images, 1), explain.saliency(model, images, [1, 1]))


def test_noisy_copies_approach_the_gradient_as_the_noise_vanishes(model, images):
    close(explain.saliency(model, images, samples=4, noise=1e-6), explain.saliency(model, images), 1e-2)


def test_integrated_gradients_add_up_to_the_difference_of_the_scores(model, images):
    baseline = mx.full((3,), 0.2)
    parts = explain.integrated_gradients(model, images, 1, baseline=baseline, steps=200)
    difference = score(model, images, [1, 1]) - score(model, mx.zeros_like(images) + baseline, [1, 1])
    assert parts.shape == images.shape
    close(parts.sum(axis=(1, 2, 3)), difference, 1e-2)


def test_integrated_gradients_of_a_parabola_need_one_midpoint():
    class Parabola(mf.Module):
        def __init__(self):
            self.out = mf.Linear(3, 2)

        def forward(self, x):
            return self.out(x * x)

    model, x = Parabola(), mx.array(normal(4, 3).astype(np.float32))
    parts = explain.integrated_gradients(model, x, 1, baseline=mx.array(0.5), steps=1)
    close(parts, model.out.weight.value[1] * (x * x - 0.25))


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
    assert explain.grad_cam(net, images, "conv").shape == (2, 8, 6)


def test_the_model_is_left_as_it_was(model, images):
    model.backward(mx.ones_like(model(images)))
    before = [np.array(p.grad) for p in model.parameters()] + [np.array(b.value) for b in model.buffers()]
    state, dx = mf.random.get_state(), model.backward(mx.ones((2, 3)))
    model.zero_grad()
    model.backward(mx.ones((2, 3)))
    explain.saliency(model, images, 1)
    explain.grad_cam(model, images, "block")
    explain.integrated_gradients(model, images, steps=2)
    explain.activation_maps(model, images, "pool")
    explain.maximize_activation(model, "conv1", 0, (8, 6, 3), steps=2)
    after = [np.array(p.grad) for p in model.parameters()] + [np.array(b.value) for b in model.buffers()]
    assert all(map(np.array_equal, before, after))
    assert mf.random.get_state() == state and all(module.training for module in model.modules())
    assert mx.array_equal(model.backward(mx.ones((2, 3))), dx)


def test_filters_are_scaled_to_pictures(model):
    pictures = np.array(explain.filters(model, "conv1"))
    assert pictures.shape == (4, 3, 3, 3)
    assert (pictures.min(axis=(1, 2, 3)) == 0).all()
    close(pictures.max(axis=(1, 2, 3)), np.ones(4))


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


def test_overlay_is_red_where_the_map_is_one_and_the_paler_image_elsewhere():
    images = mx.full((1, 2, 2, 3), 0.4)
    maps = mx.array([[[0.0, 1.0], [0.0, 0.0]]])
    drawn = explain.overlay(images, maps, strength=0.6)
    close(drawn[0, 0, 0], [0.4, 0.4, 0.4])
    assert drawn[0, 0, 1, 0].item() > 0.7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: explain.grad_cam(m, x, "conv2"), r"no layer 'conv2'; this Sequential has conv1, relu1, pool, bl"),
        (lambda m, x: explain.grad_cam(m, x, mf.ReLU()), r"ReLU\(\) is not part of this Sequential"),
        (lambda m, x: explain.grad_cam(m, x, "mean"), r"grad_cam: expected a layer with output .*, got \(2, 5\)"),
        (lambda m, x: explain.saliency(m, x[0]), r"saliency: expected images \(batch.*, got \(8, 6, 3\)"),
        (lambda m, x: explain.saliency(m, x, samples=0), "samples of at least 1, got .* and 0"),
        (lambda m, x: explain.saliency(m, x, 3), r"expected one target in 0\.\.2 for each of 2 inputs, got 3"),
        (lambda m, x: explain.saliency(m["conv1"], x), r"expected a model whose output is \(batch, classes\)"),
        (lambda m, x: explain.integrated_gradients(m, x, steps=0), "expected steps of at least 1, got 0"),
        (lambda m, x: explain.filters(m, "relu1"), r"filters: expected a layer with weights .*, got ReLU\(\)"),
        (lambda m, x: explain.maximize_activation(m, "conv1", 4), r"expected a channel of 0\.\.3, got 4"),
        (lambda m, x: explain.maximize_activation(m, "conv1", 0, steps=0), "expected steps >= 1"),
        (lambda m, x: explain.overlay(x, x), r"overlay: expected images \(N, H, W, 3 or 1\) and maps"),
    ],
)
def test_unsuitable_questions_are_errors(model, images, call, message):
    with pytest.raises(ValueError, match=message):
        call(model, images)
