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
