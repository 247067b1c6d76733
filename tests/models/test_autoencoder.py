"""Autoencoders: derivatives, that they find the few numbers behind the data, and that the drawn one makes new ones."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.models import VAE, autoencoder

RNG = np.random.default_rng(0)


def bars(count):
    """Pictures of 6 x 6 with one bright row or column: a few numbers would do."""
    x = np.zeros((count, 6, 6, 1), np.float32)
    for picture, place in zip(x, RNG.integers(0, 12, count)):
        picture[:, place % 6] = 1 if place < 6 else picture[:, place % 6]
        if place >= 6:
            picture[place - 6] = 1
    return x


def test_an_autoencoder_gives_back_what_it_gets():
    mf.seed(0)
    model, x = autoencoder((6, 6, 1), hidden=32, code=6), bars(200)
    assert model["encoder"](mx.array(x)).shape == (200, 6)
    model.fit(x, x, loss="mse", optimizer=mf.Adam(model, lr=0.01), epochs=60, verbose=0, seed=0)
    assert model.evaluate(x, x, loss="mse")["loss"] < 0.1 * x.var()
    code = model["encoder"](mx.array(x[:1]))
    np.testing.assert_allclose(np.array(model["decoder"](code)), np.array(model(mx.array(x[:1]))), atol=1e-6)


def test_the_autoencoders_derivative():
    mf.seed(0)
    assert mf.check_gradients(autoencoder((3, 2, 1), hidden=5, code=2), RNG.normal(size=(3, 3, 2, 1))).passed


@pytest.mark.parametrize("training", [True, False])
def test_the_whole_vae_with_its_loss_passes_the_gradient_check(training):
    mf.seed(0)
    model = VAE(5, 6, 2).train(training)
    x = RNG.uniform(size=(4, 5))
    report = mf.check_gradients(model, x, loss=mf.ELBOLoss(code=2), target=RNG.uniform(size=(4, 5)))
    assert report.passed, report


def test_a_vae_learns_and_makes_pictures_of_the_same_kind():
    mf.seed(0)
    x = bars(400).reshape(400, 36)
    model = VAE(36, 64, 4)
    optimizer = mf.Adam(model, lr=0.005)
    history = model.fit(x, x, loss=mf.ELBOLoss(code=4), optimizer=optimizer, epochs=40, verbose=0, seed=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert np.abs(np.array(model.reconstruct(mx.array(x[:50]))) - x[:50]).mean() < 0.12
    new = np.array(model.sample(40, seed=1))
    assert new.shape == (40, 36) and 0 <= new.min() and new.max() <= 1
    np.testing.assert_array_equal(new, np.array(model.sample(40, seed=1)))
    assert (new.max(axis=1) > 0.5).mean() > 0.8 and 2 < new.sum(axis=1).mean() < 12  # a bar has six bright pixels


def test_the_prior_costs_nothing_and_every_step_away_from_it_does():
    loss = mf.ELBOLoss(code=1)
    pixels = mx.zeros((1, 1))
    at_home = loss(mx.array([[0.0, 0.0, 0.0]]), pixels).item()
    for mean, log_variance in ((1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        assert loss(mx.array([[0.0, mean, log_variance]]), pixels).item() > at_home


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"of shape \(2, 7\) for a target \(2, 3\) and a code of 2, got \(2, 5\)"):
        mf.ELBOLoss(code=2)(mx.zeros((2, 5)), mx.zeros((2, 3)))
    with pytest.raises(ValueError, match="VAE: expected positive sizes"):
        VAE(0, 3, 2)
