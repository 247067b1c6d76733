"""Trainings in which a layer fails, and what they must leave; test_finite.py runs them, some in another process."""

import mlx.core as mx
import numpy as np

import miniframe as mf

SAMPLES = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
OPTIMIZERS = {
    "sgd": lambda m: mf.SGD(m, lr=0.1),
    "momentum": lambda m: mf.SGD(m, lr=0.1, momentum=0.9),
    "adam": lambda m: mf.Adam(m),
}


class Failing(mf.Module):
    """Fails on batches of four, in training or in evaluation: at once, or later, when MLX computes."""

    def __init__(self, mode, how):
        self.mode, self.how = mode, how

    def forward(self, x):
        self.saved = ()
        if x.shape[0] == 4 and self.training == (self.mode == "training"):
            if self.how == "at once":
                raise LookupError("nothing found")
            x = x + mx.linalg.inv(mx.zeros((3, 3)), stream=mx.cpu)[0, 0]
        return x

    def backward(self, grad_output):
        return grad_output


def fitted(mode, how, optimizer, samples=40, **options):
    mf.seed(0)
    model = mf.Sequential(mf.Linear(3, 2), Failing(mode, how))
    optimizer = OPTIMIZERS[optimizer](model)
    x = SAMPLES[:samples]
    validation = (SAMPLES[:4], SAMPLES[:4, :2])
    settings = {"loss": mf.MSELoss(), "optimizer": optimizer, "batch_size": 9, "shuffle": False, "verbose": 0}
    try:
        model.fit(x, x[:, :2], validation_data=validation if mode == "evaluation" else None, **settings, **options)
    except (LookupError, RuntimeError) as error:
        return model, optimizer, str(error)
    return model, optimizer, None


def leaves_the_last_good_step(mode, how, optimizer, compile):
    model, used, message = fitted(mode, how, optimizer, compile=compile, epochs=3)
    expected, other, nothing = fitted("never", how, optimizer, 36 if mode == "training" else 40, compile=compile)
    assert nothing is None
    place = "epoch 1, batch 5" if (mode, how) == ("training", "at once") else "epoch 1"
    assert message.endswith(f"fit stopped in {place}, and the model keeps what its last good step left"), message
    assert ("nothing found" if how == "at once" else "LU factorization failed") in message, message
    assert used.iterations == other.iterations == (4 if mode == "training" else 5), used.iterations
    for cell, same in zip([*model.parameters(), *used.cells()], [*expected.parameters(), *other.cells()], strict=True):
        if cell not in list(used.scalars()):
            np.testing.assert_array_equal(np.array(cell.value), np.array(same.value))
    assert np.isfinite(np.array(model.predict(SAMPLES[:5]))).all()


def goes_on(how):
    model, optimizer, message = fitted("training", how, "sgd")
    assert message is not None
    model.fit(SAMPLES[:36], SAMPLES[:36, :2], loss="mse", optimizer=optimizer, batch_size=9, verbose=0)
    assert optimizer.iterations == 8 and np.isfinite(np.array(model[0].weight.value)).all(), optimizer.iterations
