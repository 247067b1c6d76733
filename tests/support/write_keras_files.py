"""Writes the files in tests/interop/files_of_keras with Keras itself: weights, inputs, and what Keras makes of them.

KERAS_BACKEND=jax python tests/support/write_keras_files.py      # needs keras, jax and h5py
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers as L

FOLDER = Path(__file__).parents[1] / "interop" / "files_of_keras"


def images():
    """A model of every kind of layer for images, some of which have names of their own."""
    x = keras.Input((8, 8, 3))
    h = L.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    h = L.BatchNormalization(name="norm")(h)
    h = L.MaxPooling2D()(h)
    h = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep")(h)
    h = L.PReLU(shared_axes=[1, 2], name="slopes")(h)
    h = L.Conv2DTranspose(6, 3, strides=3, name="wide")(h)
    h = L.GroupNormalization(2, name="groups")(h)
    h = L.Conv2D(2, (3, 2), strides=2, use_bias=False, name="last")(h)
    h = L.Flatten()(h)
    h = L.Dense(5, name="hidden")(h)
    return keras.Model(x, L.Dense(3, name="head")(L.LayerNormalization(name="rows")(h)))


def words():
    """A Sequential without names: recurrent layers of every kind, one way and both, and layers in a layer."""
    inner = keras.Sequential([L.Dense(4, activation="tanh"), L.RMSNormalization(), L.Dense(2)])
    return keras.Sequential([
        keras.Input((6,)), L.Embedding(9, 4), L.LSTM(3, return_sequences=True), L.GRU(4, return_sequences=True),
        L.Bidirectional(L.SimpleRNN(2, return_sequences=True)), L.Conv1D(4, 2),
        L.Bidirectional(L.GRU(2, return_sequences=True)), L.Bidirectional(L.LSTM(2)), inner,
    ])  # fmt: skip


def attention():
    x = keras.Input((5, 6))
    return keras.Model(x, L.Dense(2, name="out")(L.MultiHeadAttention(2, 3, name="look")(x, x)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    given = {
        "images": (images(), rng.normal(size=(2, 8, 8, 3)).astype(np.float32)),
        "words": (words(), rng.integers(0, 9, size=(2, 6)).astype(np.int32)),
        "attention": (attention(), rng.normal(size=(2, 5, 6)).astype(np.float32)),
    }
    for name, (model, x) in given.items():
        model(x)
        model.set_weights([w + 0.3 * rng.uniform(size=w.shape).astype(np.float32) for w in model.get_weights()])
        model.save_weights(FOLDER / f"{name}.weights.h5")
        np.savez(FOLDER / f"{name}.npz", x=x, y=np.array(model(x)))
    given["attention"][0].save(FOLDER / "attention.keras")
