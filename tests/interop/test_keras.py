"""Weights from files that Keras itself has written: the same outputs as Keras gave, by name and kind by kind."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from harness import close

import miniframe as mf
from miniframe import interop

h5py = pytest.importorskip("h5py")
FILES = Path(__file__).parent / "files_of_keras"
EPS = 0.001  # Keras' in every normalization but RMSNormalization


def given(name):
    arrays = np.load(FILES / f"{name}.npz")
    return mx.array(arrays["x"]), arrays["y"]


def images(names):
    parts = {
        "first": mf.Conv2d(3, 4, 3, padding="same"),
        "relu": mf.ReLU(),
        "norm": mf.BatchNorm(4, EPS),
        "pool": mf.MaxPool2d(2),
        "deep": mf.Conv2d(4, 8, 3, padding="same", groups=4),
        "slopes": mf.PReLU(8),
        "wide": mf.ConvTranspose2d(8, 6, 3, stride=3),
        "groups": mf.GroupNorm(2, 6, EPS),
        "last": mf.Conv2d(6, 2, (3, 2), stride=2, bias=False),
        "flat": mf.Flatten(),
        "hidden": mf.Linear(60, 5),
        "rows": mf.LayerNorm(5, EPS),
        "head": mf.Linear(5, 3),
    }
    return mf.Sequential(parts if names else {str(k): part for k, part in enumerate(parts.values())}).eval()


def words():
    inner = mf.Sequential(mf.Linear(4, 4), mf.Tanh(), mf.RMSNorm(4, 1e-6), mf.Linear(4, 2))
    return mf.Sequential(
        mf.Embedding(9, 4), mf.LSTM(4, 3), mf.GRU(3, 4), mf.RNN(4, 2, bidirectional=True), mf.Conv1d(4, 4, 2),
        mf.GRU(4, 2, bidirectional=True), mf.LSTM(4, 2, bidirectional=True, return_sequences=False), inner,
    )  # fmt: skip


class Attention(mf.Module):
    def __init__(self):
        self.look, self.out = mf.MultiHeadAttention(6, 2), mf.Linear(6, 2)

    def forward(self, x):
        return self.out(self.look(x))


@pytest.mark.parametrize("names", [True, False], ids=["by name", "kind by kind"])
def test_layers_for_images_give_what_keras_gave(names):
    model = images(names)
    assert interop.load_keras_weights(model, FILES / "images.weights.h5").complete
    x, y = given("images")
    close(model(x), y)


def test_recurrent_layers_give_what_keras_gave():
    model = words()
    report = interop.load_keras_weights(model, FILES / "words.weights.h5")
    assert report.complete and len(report.loaded) == len(list(model.parameters()))
    x, y = given("words")
    close(model(x), y)


@pytest.mark.parametrize("file", ["attention.weights.h5", "attention.keras"])
def test_attention_gives_what_keras_gave_from_either_kind_of_file(file):
    model = Attention()
    assert interop.load_keras_weights(model, FILES / file).complete
    x, y = given("attention")
    close(model(x), y)


def test_what_does_not_fit_is_listed_and_nothing_is_changed():
    model = mf.Sequential({"head": mf.Linear(5, 3), "first": mf.Conv2d(3, 5, 3)})
    before = np.array(model["head"].weight.value)
    with pytest.raises(ValueError) as caught:
        interop.load_keras_weights(model, FILES / "images.weights.h5")
    words = str(caught.value)
    assert words.startswith("load_keras_weights: the weights do not fit the model") and "batch_normalization.0" in words
    assert "mismatched: first.weight expects (5, 3, 3, 3) float32, the file holds (4, 3, 3, 3) float32" in words
    assert np.array_equal(before, model["head"].weight.value)
    report = interop.load_keras_weights(model, FILES / "images.weights.h5", strict=False)
    assert report.loaded == ["head.weight", "head.bias"] and len(report.unexpected) > 5


def test_a_layer_of_other_settings_says_so():
    model = mf.Sequential({"last": mf.Conv2d(6, 2, (3, 2), stride=2)})
    with pytest.raises(ValueError, match=r"'last' does not fit Conv2d\(6 -> 2.*\): it has 1 arrays in place of 2"):
        interop.load_keras_weights(model, FILES / "images.weights.h5", strict=False)


def test_a_file_that_keras_has_not_written_is_refused(tmp_path):
    (tmp_path / "a.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="a.weights.h5 is no file of Keras"):
        interop.load_keras_weights(mf.Linear(1, 1), tmp_path / "a.weights.h5")


def test_a_file_that_the_test_writes_in_keras_layout_loads_into_a_single_layer(tmp_path):
    kernel, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)
    with h5py.File(tmp_path / "one.weights.h5", "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables.attrs["name"] = "dense"
        variables["0"], variables["1"] = kernel, bias
    layer = mf.Linear(2, 3)
    interop.load_keras_weights(layer, tmp_path / "one.weights.h5")
    close(layer(mx.array([[1.0, 10.0]])), kernel[:1] + 10 * kernel[1:] + bias)
