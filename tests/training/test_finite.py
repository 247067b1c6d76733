"""A loss that is not finite stops the training, and the error says where it came from."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from failing_fits import OPTIMIZERS, SAMPLES, goes_on, leaves_the_last_good_step

import miniframe as mf
from miniframe.training import step

X = np.random.default_rng(0).random((64, 2), dtype=np.float32)
Y = np.zeros((64, 2), dtype=np.float32)


class LogOfNegative(mf.Module):
    def forward(self, x):
        self.saved = x
        return mx.log(x - 100)

    def backward(self, grad_output):
        return grad_output / (self.saved - 100)


class InfiniteSlope(mf.Module):
    """The square root of zero: a finite value with an infinite derivative."""

    def forward(self, x):
        self.saved = x
        return mx.sqrt(x * 0)

    def backward(self, grad_output):
        return grad_output / (0 * self.saved)


class Remember(mf.Callback):
    """The weights before every batch."""

    def __init__(self):
        self.values = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_batch_begin(self, batch, logs=None):
        self.values[self.epoch, batch] = [p.value for p in self.model.parameters()]


def fit(model, lr=0.1, **options):
    settings = {"loss": "mse", "batch_size": 16, "verbose": 0, "seed": 0, "compile": False} | options
    return model.fit(X, Y, optimizer=mf.SGD(model, lr=lr), **settings)


@pytest.mark.parametrize("compile", [True, False])
def test_the_first_layer_with_a_bad_output_is_named(compile):
    model = mf.Sequential(mf.Linear(2, 3), mf.Sequential(LogOfNegative()), mf.Linear(3, 2))
    before = [p.value for p in model.parameters()]
    with pytest.raises(mf.NonFiniteError, match=r"epoch 1, batch 1: the output of layer '1.0', LogOfNegative\(\)"):
        fit(model, compile=compile)
    assert all(mx.array_equal(p.value, value) for p, value in zip(model.parameters(), before, strict=True))


def test_the_first_layer_with_a_bad_gradient_is_named():
    model = mf.Sequential(mf.Linear(2, 3), InfiniteSlope(), mf.Linear(3, 2))
    with pytest.raises(mf.NonFiniteError, match=r"the gradient from layer '1', InfiniteSlope\(\), was the first"):
        fit(model)


@pytest.mark.parametrize("heavy", [False, True], ids=["light", "heavy"])
@pytest.mark.parametrize("compile", [True, False])
def test_a_diverging_training_names_epoch_and_batch_and_leaves_the_last_good_weights(compile, heavy, monkeypatch):
    if heavy:  # the numbers of a heavy model are looked at in every batch, so that no older ones are kept
        monkeypatch.setattr(step, "HUGE", 0)
    mf.seed(0)
    model = mf.Sequential(mf.Linear(2, 8), mf.ReLU(), mf.Linear(8, 2))
    remember = Remember()
    with pytest.raises(mf.NonFiniteError, match=r"in epoch \d+, batch \d+: .*try a smaller learning rate") as error:
        fit(model, lr=1e4, epochs=50, compile=compile, callbacks=[remember])
    epoch, batch = map(int, re.search(r"in epoch (\d+), batch (\d+)", str(error.value)).groups())
    for parameter, value in zip(model.parameters(), remember.values[epoch - 1, batch - 1], strict=True):
        assert mx.array_equal(parameter.value, value) and mx.isfinite(value).all().item()
    assert isinstance(mf.NonFiniteError(), FloatingPointError)


def test_the_same_batch_is_blamed_compiled_or_not():
    messages = []
    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.Linear(2, 8), mf.ReLU(), mf.Dropout(0.2), mf.Linear(8, 2))
        with pytest.raises(mf.NonFiniteError) as error:
            fit(model, lr=1e4, epochs=50, compile=compile)
        messages.append(str(error.value).split(":")[1])
    assert messages[0] == messages[1]


def test_a_bad_batch_of_a_stream_is_told_apart_from_a_bad_layer():
    model = mf.Sequential(mf.Linear(2, 2))
    bad = X.copy()
    bad[3, 0] = np.inf
    batches = [(X, Y), (bad, Y)]
    with pytest.raises(mf.NonFiniteError, match="epoch 1, batch 2: the batch itself contains NaN or infinite"):
        model.fit(batches, loss="mse", optimizer=mf.SGD(model, lr=0.1), verbose=0, compile=False)


def test_an_overflow_in_the_very_last_step_is_noticed():
    model = mf.Sequential(mf.Linear(2, 2))
    before = [p.value for p in model.parameters()]
    with pytest.raises(mf.NonFiniteError, match="a weight became NaN or infinite in epoch 1, batch 1"):
        model.fit(X, Y + 1e3, loss="mse", optimizer=mf.SGD(model, lr=3e38), batch_size=64, verbose=0, compile=False)
    assert all(mx.array_equal(p.value, value) for p, value in zip(model.parameters(), before, strict=True))


def test_a_failing_layer_during_compilation_leaves_the_model_usable():
    class Breaks(mf.Identity):
        def backward(self, grad_output):
            raise RuntimeError("not today")

    model = mf.Sequential(mf.Linear(2, 2), Breaks())
    before = np.array(model[0].weight.value)
    with pytest.raises(RuntimeError, match="not today"):
        fit(model, compile=True)
    assert np.array_equal(before, np.array(model[0].weight.value))
    assert model(mx.array(X)).shape == (64, 2)


class Overflow(mf.Identity):
    """Its gradient is too large for any number, unless it is zero."""

    def backward(self, grad_output):
        return grad_output * 1e30 * 1e30


class Split(mf.Module):
    """Takes its input apart; only one of the parts, or both, have a gradient other than zero."""

    def __init__(self, bad, left, right):
        self.bad, self.left, self.right = bad, left, right

    def forward(self, x):
        left, right = mf.split(self.bad(x), 2, axis=1)
        return left * self.left + mf.Tanh()(right) * self.right


@pytest.mark.parametrize("shares", [(2, 0), (0, 2), (2, 3)], ids=["first part", "second part", "both parts"])
@pytest.mark.parametrize("compile", [True, False])
def test_a_bad_gradient_behind_a_layer_with_several_outputs_is_found(compile, shares):
    model = mf.Sequential(mf.Linear(2, 4), Split(Overflow(), *shares), mf.Linear(2, 2))
    before = [np.array(p.value) for p in model.parameters()]
    with pytest.raises(mf.NonFiniteError, match=r"the gradient from layer '1.bad', Overflow\(\), was the first"):
        fit(model, compile=compile)
    assert all(np.array_equal(np.array(p.value), value) for p, value in zip(model.parameters(), before, strict=True))


def test_a_part_that_nobody_uses_does_not_stop_the_search():
    class Right(Split):
        def forward(self, x):
            return mf.split(self.bad(x), 2, axis=1)[1]

    model = mf.Sequential(mf.Linear(2, 4), Right(Overflow(), 0, 1), mf.Linear(2, 2))
    with pytest.raises(mf.NonFiniteError, match=r"the gradient from layer '1.bad', Overflow\(\), was the first"):
        fit(model)


def test_the_layer_with_several_outputs_is_named_if_it_is_the_bad_one():
    class BadSplit(mf.layers.combine.Split):
        def backward(self, grad_output):
            return super().backward(grad_output) / 0

    class Model(mf.Module):
        def __init__(self):
            self.first, self.split, self.last = mf.Linear(2, 4), BadSplit(2, axis=1), mf.Linear(2, 2)

        def forward(self, x):
            left, right = self.split(self.first(x))
            return self.last(left + right)

    with pytest.raises(mf.NonFiniteError, match=r"the gradient from layer 'split', BadSplit\(.*\), was the first"):
        fit(Model())


def test_a_bad_output_among_several_is_found():
    class Parts(mf.Module):
        """Its second output is not finite."""

        output_count = 2

        def forward(self, x):
            self.saved = ()
            return x, mx.log(x - 100)

        def backward(self, grad_output):
            return grad_output[0]

    class Model(mf.Module):
        def __init__(self):
            self.first, self.parts, self.last = mf.Linear(2, 2), Parts(), mf.Linear(2, 2)

        def forward(self, x):
            good, bad = self.parts(self.first(x))
            return self.last(good + bad)

    with pytest.raises(mf.NonFiniteError, match=r"the output of layer 'parts', Parts\(\), was the first"):
        fit(Model())


# -------------------------------------------------------------------- what fails leaves the last good step


@pytest.fixture(scope="module")
def elsewhere():
    """A process of its own, for what fails while MLX computes.

    MLX (0.32) counts the operations that it still has to compute, and where one fails while more are handed over, the
    count stays too high by one. After two such failures an eval of many small operations may wait for ever.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=300)


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_fails_at_once_leaves_the_weights_of_the_last_good_step(mode, optimizer, compile):
    leaves_the_last_good_step(mode, "at once", optimizer, compile)


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_fails_when_computed_leaves_the_weights_of_the_last_good_step(mode, optimizer, compile, elsewhere):
    elsewhere(leaves_the_last_good_step, mode, "when computed", optimizer, compile)


def test_training_goes_on_after_a_failure(elsewhere):
    elsewhere(goes_on, "when computed")
    goes_on("at once")


def test_a_metric_and_validation_data_that_fail_leave_the_weights_too():
    calls = []

    def metric(prediction, target):
        calls.append(len(target))
        if len(calls) > 1:  # the first call only tries the metric, before anything is trained
            raise KeyError("no such metric")
        return 0.0

    model = mf.Sequential(mf.Linear(3, 2))
    before = np.array(model[0].weight.value)
    with pytest.raises(KeyError, match="no such metric; fit stopped in epoch 1"):
        model.fit(SAMPLES, SAMPLES[:, :2], loss="mse", optimizer="sgd", metrics=[metric], verbose=0)
    assert not np.array_equal(before, np.array(model[0].weight.value))

    def validation():
        yield SAMPLES, SAMPLES[:, :2]
        yield SAMPLES, SAMPLES[:3, :2]

    with pytest.raises(ValueError, match="expected 40 samples.*; fit stopped in epoch 1"):
        model.fit(SAMPLES, SAMPLES[:, :2], loss="mse", optimizer="sgd", validation_data=validation, verbose=0)
    assert np.isfinite(np.array(model[0].weight.value)).all()


def test_a_nan_after_a_change_of_settings_is_explained_and_undone():
    class Explodes(mf.Callback):
        def on_batch_begin(self, batch, logs=None):
            if batch == 2:
                self.model[0].freeze()
                self.optimizer.lr = 1e30

    results = []
    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.Linear(3, 3), mf.Linear(3, 2))
        optimizer = mf.SGD(model, lr=0.1)
        with pytest.raises(mf.NonFiniteError, match="epoch 1, batch 4"):
            model.fit(
                SAMPLES, SAMPLES[:, :2], loss="mse", optimizer=optimizer, callbacks=[Explodes()], batch_size=9,
                shuffle=False, verbose=0, compile=compile,
            )  # fmt: skip
        results.append([np.array(p.value) for p in model.parameters()])
        assert optimizer.iterations == 3 and all(np.isfinite(value).all() for value in results[-1])
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
