"""What users do, on a machine whose default device is a GPU; fails where it is not, and where numbers are off by 1e-3.

python tests/support/on_a_gpu.py
"""

import sys
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.backend import info


def trained(**settings):
    """A small model for images, trained on shapes for some epochs; its inputs and its loss."""
    mf.seed(0)
    x, y = mf.datasets.shapes(200, seed=0)
    model = mf.Sequential(
        mf.Conv2d(x.shape[-1], 4, 3, padding=1), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten(),
        mf.Linear(4 * (x.shape[1] // 2) * (x.shape[2] // 2), 3),
    )  # fmt: skip
    history = model.fit(x, y, loss="cross_entropy", optimizer="adam", verbose=0, seed=0, batch_size=50, **settings)
    return model, x, history.history["loss"]


def close(ours, other, words):
    """Report, and fail where two results differ."""
    ours, other = np.array(ours, dtype=np.float64), np.array(other, dtype=np.float64)
    error = np.abs(ours - other).max() / np.abs(other).max()
    print(f"{words}: difference {error:.1e}")
    if not error < 1e-3:
        sys.exit(f"{words}: {error} is more than 1e-3")


def main():
    """Train, check, export, save and resume."""
    for name, value in info().items():
        print(f"{name:<14}{value}")
    if mx.default_device() != mx.Device(mx.gpu):
        sys.exit("the default device is not a GPU")
    model, x, losses = trained(epochs=4)
    device = mx.default_device()
    mx.set_default_device(mx.cpu)
    close(losses, trained(epochs=4)[2], "fit on the GPU and on the CPU")
    expected = np.array(model.predict(x[:20]))
    mx.set_default_device(device)
    close(model.predict(x[:20]), expected, "predict on the GPU and on the CPU")
    if not mf.check_gradients(model, x[:2], loss="cross_entropy", target=mx.array([0, 1])).passed:
        sys.exit("check_gradients failed")
    with tempfile.TemporaryDirectory() as folder:
        model.export(Path(folder) / "model.mlxfn", x[:1])
        with mx.stream(mx.cpu):
            close(mx.import_function(str(Path(folder) / "model.mlxfn"))(x[:1])[0], model.predict(x[:1]), "exported")
        model.save(Path(folder) / "model.safetensors")
        close(mf.load(Path(folder) / "model.safetensors").predict(x[:20]), expected, "saved and loaded")
        trained(epochs=2, checkpoint=Path(folder) / "epochs")
        resumed = trained(epochs=4, checkpoint=Path(folder) / "epochs", resume=True)
        close(resumed[2], losses, "resumed")


if __name__ == "__main__":
    main()
