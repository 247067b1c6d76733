"""U-Net and diffusion: derivatives, sizes, and a small diffusion that ends where its data are."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.models import Diffusion, UNet


@pytest.mark.parametrize("depth, size", [(1, (4, 6)), (2, (4, 8))])
def test_the_whole_unet_passes_the_gradient_check(depth, size):
    mf.seed(0)
    x = np.random.default_rng(0).normal(size=(2, *size, 2))
    assert mf.check_gradients(UNet(2, 1, width=2, depth=depth), x).passed


def test_it_learns_to_outline_shapes(tmp_path):
    rng = np.random.default_rng(0)
    x = np.zeros((60, 8, 8, 1), np.float32)
    for picture in x:
        top, left = rng.integers(0, 5, 2)
        picture[top : top + 4, left : left + 4] = 1
    inside = x.copy()
    noisy = x + 0.5 * rng.normal(size=x.shape).astype(np.float32)
    model = mf.models.unet(width=4, depth=2)
    model.fit(noisy, inside, loss="bce_with_logits", optimizer=mf.Adam(model, lr=0.01), epochs=40, verbose=0, seed=0)
    guess = np.array(model.predict(noisy)) > 0
    assert (guess == (inside > 0.5)).mean() > 0.93
    model.save(tmp_path / "unet")
    np.testing.assert_array_equal(np.array(mf.load(tmp_path / "unet").predict(noisy)) > 0, guess)


def test_sizes_that_cannot_be_halved_are_named():
    with pytest.raises(ValueError, match="divisible by 4, got 6x8; pad the picture"):
        UNet(1, 1, width=2, depth=2)(mx.zeros((1, 6, 8, 1)))
    with pytest.raises(ValueError, match="UNet: expected positive sizes"):
        UNet(1, 1, width=0)


def test_dissolving_keeps_the_variance_and_ends_in_noise():
    model = Diffusion((4, 4, 1), steps=50, width=2)
    kept = model.kept()
    assert kept[0] == 1 and kept[-1] < 0.01 and (np.diff(kept) < 0).all()
    x = mx.random.normal((4000, 4, 4, 1))
    (noisy, when), noise = model.dissolved(x, seed=0)
    assert abs(np.array(noisy).var() - 1) < 0.03 and noise.shape == x.shape
    assert set(np.unique(np.array(when) * 50).round().astype(int)) <= set(range(1, 51))
    again, _ = model.dissolved(x, seed=0)
    np.testing.assert_array_equal(np.array(again[0]), np.array(noisy))


def test_the_whole_diffusion_model_passes_the_gradient_check():
    mf.seed(0)
    rng = np.random.default_rng(0)
    model = Diffusion((4, 4, 1), steps=10, width=2)
    assert mf.check_gradients(model, rng.normal(size=(2, 4, 4, 1)), rng.uniform(size=(2, 1))).passed


def test_a_diffusion_model_ends_where_its_data_are():
    """All pictures are either bright or dark: so are, mostly, those that it makes."""
    mf.seed(0)
    rng = np.random.default_rng(0)
    x = np.where(rng.uniform(size=(256, 1, 1, 1)) < 0.5, -1.0, 1.0) * np.ones((256, 4, 4, 1))
    model = Diffusion((4, 4, 1), steps=20, width=8)
    optimizer = mf.Adam(model, lr=0.005)
    for seed in range(12):
        inputs, noise = model.dissolved(x, seed=seed)
        model.fit(inputs, noise, loss="mse", optimizer=optimizer, epochs=6, verbose=0, seed=seed)
    means = np.array(model.sample(60, seed=0)).mean(axis=(1, 2, 3))
    assert (np.abs(np.abs(means) - 1) < 0.4).mean() > 0.7 and (means > 0).any() and (means < 0).any()


def test_pictures_have_three_axes():
    with pytest.raises(ValueError, match="Diffusion: expected"):
        Diffusion((4, 4))
