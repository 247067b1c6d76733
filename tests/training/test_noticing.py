"""What a user's code does besides computing is noticed, and obeyed as without compilation."""

import random
import time
import warnings

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X[:, :2]
RNG = [np.random.default_rng(3)]
SEEN = []


class NumPyNoise(mf.Module):
    def forward(self, x):
        return x * float(np.random.normal())


class PythonChoice(mf.Module):
    def forward(self, x):
        return x * 2 if random.random() < 0.5 else x * 1


class GeneratorNoise(mf.Module):
    def __init__(self):
        self.rng = np.random.default_rng(3)

    def forward(self, x):
        return x * float(self.rng.normal())


class GlobalNoise(mf.Module):
    def forward(self, x):
        return x * float(RNG[0].normal())


class Counts(mf.Module):
    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * (1.0 / self.calls)


class Lists(mf.Module):
    def __init__(self):
        self.shapes = []

    def forward(self, x):
        self.shapes.append(x.shape)
        return x * 1.0


class RunningMean(mf.Module):
    """Keeps an array that should be a Buffer."""

    def __init__(self):
        self.mean = mx.zeros(2)

    def forward(self, x):
        self.saved = self.mean
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return x * self.saved

    def backward(self, grad_output):
        return grad_output * self.saved


class Keeps(mf.Module):
    """Keeps what backward needs in attributes of its own, as many do at first."""

    def forward(self, x):
        self.input, self.shape, self.cache = x, x.shape, (x, 3)
        return x * x

    def backward(self, grad_output):
        x, three = self.cache
        return grad_output * 2 * self.input * (three - 2)


class BuiltLater(mf.Module):
    scale = None

    def forward(self, x):
        if self.scale is None:
            self.scale = x.shape[-1]
        return x * self.scale


class SeesShapes(mf.Module):
    def forward(self, x):
        SEEN.append(x.shape)
        return x * 2.0


class LooksAtValues(mf.Module):
    def forward(self, x):
        self.saved = x.mean().item() > 0
        return x * (2.0 if self.saved else 3.0)

    def backward(self, grad_output):
        return grad_output * (2.0 if self.saved else 3.0)


UNSUITABLE = {
    NumPyNoise: "use mx.random",
    PythonChoice: "use mx.random",
    GeneratorNoise: "use mx.random",
    GlobalNoise: "use mx.random",
    Counts: r"Counts\(\) changes its attribute 'calls' in every step; keep what changes in a Buffer",
    Lists: r"Lists\(\) changes its attribute 'shapes' in every step",
    RunningMean: r"RunningMean\(\) changes its attribute 'mean' in every step",
    LooksAtValues: "looks at the values of arrays",
}
SUITABLE = [Keeps, BuiltLater, SeesShapes]


class EveryBatch(mf.Callback):
    def on_batch_end(self, batch, logs=None):
        pass


def trained(layer, compile, callbacks=()):
    np.random.seed(0)
    random.seed(0)
    RNG[0] = np.random.default_rng(3)
    mf.seed(0)
    model = mf.Sequential(mf.Linear(3, 2), layer(), mf.Dropout(0.1), mf.Linear(2, 2))
    optimizer = mf.SGD(model, lr=0.02, momentum=0.9)
    settings = {"loss": mf.MSELoss(), "optimizer": optimizer, "verbose": 0, "batch_size": 9, "seed": 1}
    model.fit(X, Y, epochs=2, compile=compile, callbacks=callbacks, validation_data=(X, Y), **settings)
    return model


def weights(model):
    return np.concatenate([np.array(p.value).ravel() for p in model.parameters()])


def public(module):
    return {name: str(value) for name, value in vars(module).items() if not name.startswith("_")}


@pytest.mark.parametrize("layer", UNSUITABLE, ids=lambda layer: layer.__name__)
def test_what_a_trace_would_freeze_runs_uncompiled_after_one_warning(layer):
    with pytest.warns(UserWarning, match=UNSUITABLE[layer]) as caught:
        compiled = trained(layer, True)
    assert len(caught) == 1 and caught[0].filename == __file__
    plain = trained(layer, False)
    np.testing.assert_array_equal(weights(compiled), weights(plain))
    if layer is not GeneratorNoise:
        assert public(compiled[1]) == public(plain[1])


@pytest.mark.parametrize("callbacks", [[], [EveryBatch()]], ids=["alone", "looked at every batch"])
@pytest.mark.parametrize("layer", SUITABLE, ids=lambda layer: layer.__name__)
def test_what_is_written_before_it_is_read_does_no_harm(layer, callbacks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = trained(layer, True, callbacks)
    plain = trained(layer, False)
    np.testing.assert_allclose(weights(compiled), weights(plain), atol=1e-6)


def test_a_layer_that_keeps_its_input_is_traced_only_once_for_each_size():
    traces = []

    class Counted(Keeps):
        def forward(self, x):
            traces.append(x.shape[0])
            return super().forward(x)

    mf.seed(0)
    model = mf.Sequential(mf.Linear(3, 2), Counted())
    model.fit(X, Y, loss="mse", optimizer="sgd", epochs=6, batch_size=9, callbacks=[EveryBatch()], verbose=0)
    assert traces.count(9) <= 4 and traces.count(4) == 1


def test_what_a_layer_keeps_is_that_of_the_last_step_as_without_compilation():
    class Last(mf.Callback):
        def __init__(self):
            self.sums = []

        def on_batch_end(self, batch, logs=None):
            self.sums.append(float(self.model[1].input.sum().item()))

    compiled, plain = Last(), Last()
    trained(Keeps, True, [compiled])
    trained(Keeps, False, [plain])
    assert len(plain.sums) == 10 and len(set(plain.sums)) == 10
    np.testing.assert_allclose(compiled.sums, plain.sums, rtol=1e-4, atol=1e-5)


def test_a_source_that_draws_from_numpy_on_its_thread_is_not_mistaken_for_the_model():
    def batches():
        for _ in range(30):
            time.sleep(0.003)  # so that it draws while the step is traced
            yield X + np.random.normal(size=X.shape).astype(np.float32), Y

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = mf.Sequential(mf.Linear(3, 2), Keeps())
        model.fit(batches, loss="mse", optimizer="sgd", verbose=0)
