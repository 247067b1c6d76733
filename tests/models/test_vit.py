"""Vision transformer: its derivative as a whole, that it learns, and sizes that do not fit."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.models import ViT


def small(**options):
    mf.seed(0)
    settings = {"num_classes": 3, "embed_dim": 8, "num_heads": 2, "num_layers": 2, "channels": 2, **options}
    return ViT(6, 3, **settings)


def test_the_whole_model_passes_the_gradient_check():
    model = small()
    for parameter in model.parameters():
        parameter.value = parameter.value * 2 + 0.1
    report = mf.check_gradients(model, np.random.default_rng(0).normal(size=(2, 6, 6, 2)))
    assert report.passed, report


def test_every_patch_and_the_token_count():
    model = small()
    x = mx.random.normal((1, 6, 6, 2))
    model(x)
    gradient = np.array(model.backward(mx.ones((1, 3))))
    assert (np.abs(gradient).reshape(2, 3, 2, 3, 2).sum(axis=(1, 3, 4)) > 0).all()
    assert np.abs(np.array(model.token.grad)).max() > 0


def test_it_learns_where_something_is(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    x = rng.normal(size=(200, 6, 6, 1)).astype(np.float32) * 0.3
    for picture, label in zip(x, labels):
        picture[3 * (label // 2) : 3 * (label // 2) + 3, 3 * (label % 2) : 3 * (label % 2) + 3] += 1
    model = small(num_classes=4, channels=1, num_layers=1)
    model.fit(x, labels, loss="cross_entropy", optimizer=mf.Adam(model, lr=0.01), epochs=15, verbose=0, seed=0)
    assert model.evaluate(x, labels, loss="cross_entropy", metrics=["accuracy"])["accuracy"] > 0.95
    model.save(tmp_path / "vit")
    np.testing.assert_array_equal(np.array(mf.load(tmp_path / "vit")(mx.array(x))), np.array(model(mx.array(x))))


def test_patches_have_to_fit():
    with pytest.raises(ValueError, match="ViT: expected a patch_size that divides 6, got 4"):
        ViT(6, 4, 3, 8, 2, 1)
    with pytest.raises(ValueError, match="num_layers >= 1"):
        small(num_layers=0)
