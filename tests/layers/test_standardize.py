"""Standardize knows the training data's mean and deviation, and keeps them with the model."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf

X = 100 + 20 * normal(50, 3)


def test_training_data_get_mean_0_and_variance_1_and_other_data_the_same_treatment():
    layer = mf.Standardize(X)
    y = np.array(layer(mx.array(X.astype(np.float32))), dtype=np.float64)
    np.testing.assert_allclose(y.mean(axis=0), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), np.ones(3), atol=1e-5)
    np.testing.assert_allclose(
        layer(mf.as_array(X.mean(axis=0) + 2 * X.std(axis=0))[None]), np.full((1, 3), 2.0), atol=1e-4
    )
    assert list(layer.parameters()) == []


def test_a_constant_feature_is_moved_to_0_exactly():
    x = np.full((1000, 2), 0.1, dtype=np.float32)
    x[:, 1] = np.arange(1000)
    y = mf.Standardize(x)(mx.array(x))
    assert mx.all(y[:, 0] == 0).item() and mx.all(mx.isfinite(y)).item()


def test_images_and_sequences_are_standardized_by_their_last_axis():
    x = normal(4, 5, 6, 2) * [3, 10] + [1, -7]
    y = np.array(mf.Standardize(x)(mx.array(x.astype(np.float32))))
    np.testing.assert_allclose(y.reshape(-1, 2).mean(axis=0), np.zeros(2), atol=1e-5)


def test_it_is_saved_with_the_model_and_training_leaves_it_alone(tmp_path):
    model = mf.Sequential(mf.Standardize(X), mf.Linear(3, 1))
    before = np.array(model[0].mean.value)
    model.fit(X, X[:, :1], loss="mse", optimizer="adam", epochs=2, verbose=0)
    assert np.array_equal(before, model[0].mean.value)
    model.save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    assert mx.array_equal(loaded.predict(X), model.predict(X))
    assert mf.check_gradients(model, X[:4]).passed


@pytest.mark.parametrize(
    "x, words",
    [
        (np.ones(5), r"expected training inputs \(N, ..., features\), got \(5,\); for a single feature use x.reshape"),
        (np.array([[1.0, np.nan]]), "expected finite numbers"),
    ],
)
def test_unsuitable_data_are_explained(x, words):
    with pytest.raises(ValueError, match=f"Standardize: {words}"):
        mf.Standardize(x)


def test_another_number_of_features_is_named():
    with pytest.raises(ValueError, match=r"Standardize\(3\): expected input \(batch, ..., 3\), got \(2, 4\)"):
        mf.Standardize(X)(mx.ones((2, 4)))
