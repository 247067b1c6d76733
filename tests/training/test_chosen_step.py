"""A second fit goes on with the step that the first one traced, unless anything has changed that it depends on."""

import copy
import pickle
import threading

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
TRACES = []  # grows whenever forward runs in Python; a compiled step that was traced before runs without


class Counted(mf.Identity):
    """Counts how often its forward runs."""

    def forward(self, x):
        TRACES.append(x.shape)
        return super().forward(x)


class Scaled(mf.Module):
    """A layer with plain settings, which a trace freezes."""

    shift, _power = 0.1, 1

    def __init__(self, factor):
        self.factor, self.iterations, self.on = factor, 1, {"factor"}

    def forward(self, x):
        for _ in range(self.iterations):
            x = (x * self.factor if "factor" in self.on else x * 1) + self.shift
        return x**self._power


def model(*more):
    mf.seed(0)
    return mf.Sequential(mf.Linear(3, 8), mf.Tanh(), Counted(), Scaled(0.5), *more, mf.Linear(8, 2))


def fit(model, loss, optimizer, **options):
    settings = {"epochs": 1, "batch_size": 20, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, loss=loss, optimizer=optimizer, **settings)


def traced(function):
    """How often Python ran the forward of the counted layer on a whole batch, during a call."""
    before = len(TRACES)
    function()
    return sum(shape[0] == 20 for shape in TRACES[before:])


def values(model):
    return [np.array(cell.value) for cell in (*model.parameters(), *model.buffers())]


def close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_a_second_fit_with_the_same_settings_does_not_trace_again():
    m, loss = model(), mf.MSELoss()
    optimizer = mf.SGD(m, lr=0.1, momentum=0.9)
    assert traced(lambda: fit(m, loss, optimizer)) > 0
    assert traced(lambda: fit(m, loss, optimizer)) == 0
    optimizer.lr = 0.01
    assert traced(lambda: fit(m, loss, optimizer, epochs=3)) == 0
    assert traced(lambda: fit(m, loss, optimizer, batch_size=10, epochs=2)) == 0, "only the other size is traced"
    assert traced(lambda: fit(m, loss, optimizer)) == 0


def test_many_short_fits_equal_one_long_fit_bit_for_bit():
    results = []
    for parts in (1, 6):
        m, loss = model(), mf.MSELoss()
        optimizer = mf.Adam(m, lr=0.05)
        for _ in range(parts):
            fit(m, loss, optimizer, epochs=6 // parts)
        results.append(values(m))
    assert all(map(np.array_equal, *results))


def test_the_measured_metrics_are_those_that_were_asked_for():
    m, loss = model(), mf.MSELoss()
    optimizer = mf.SGD(m, lr=0.0)
    assert list(fit(m, loss, optimizer).history) == ["loss"]
    history = fit(m, loss, optimizer, metrics=["mae"]).history
    assert history["mae"][0] == pytest.approx(np.abs(np.array(m.predict(X)) - Y).mean(), rel=1e-5)
    assert list(fit(m, loss, optimizer).history) == ["loss"]


def replaced_layer(m, loss, optimizer):
    layer = mf.Linear(8, 2)
    layer.weight.value, layer.bias.value = mx.full((2, 8), 0.1), mx.zeros(2)
    m[-1] = layer


def replaced_activation(m, loss, optimizer):
    m[1] = mf.Sigmoid()


def setting(m, loss, optimizer):
    m[3].factor = 2.0


def frozen(m, loss, optimizer):
    m[0].freeze()


def unfrozen_again(m, loss, optimizer):
    m[0].freeze()
    fit(m, loss, optimizer)
    m[0].unfreeze()


def other_optimizer(m, loss, optimizer):
    return loss, mf.Adam(m, lr=0.05)


def equal_optimizer(m, loss, optimizer):
    return loss, mf.SGD(m, lr=0.1, momentum=0.9)


def momentum(m, loss, optimizer):
    optimizer.momentum = 0.2


def weight_decay(m, loss, optimizer):
    optimizer.groups[0].weight_decay = 0.3


def loss_setting(m, loss, optimizer):
    loss.delta = 0.05


def other_loss(m, loss, optimizer):
    return mf.L1Loss(), optimizer


def longer_model(m, loss, optimizer):
    m.insert("1", mf.ReLU())


def one_parameter_frozen(m, loss, optimizer):
    m[-1].bias.trainable = False


def iterations(m, loss, optimizer):
    m[3].iterations = 3


def hidden_setting(m, loss, optimizer):
    m[3]._power = 2


def set_in_place(m, loss, optimizer):
    m[3].on.clear()


def class_attribute(m, loss, optimizer):
    Scaled.shift = 0.7


class Evaluates(mf.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model[4].eval()


def mode_by_a_callback_before(m, loss, optimizer):
    fit(m, loss, optimizer, callbacks=[Evaluates()])


CHANGES = [
    iterations, hidden_setting, set_in_place, class_attribute, mode_by_a_callback_before,
    replaced_layer, replaced_activation, setting, frozen, unfrozen_again, other_optimizer, equal_optimizer, momentum,
    weight_decay, loss_setting, other_loss, longer_model, one_parameter_frozen,
]  # fmt: skip


@pytest.fixture(autouse=True)
def class_attributes_restored(monkeypatch):
    monkeypatch.setattr(Scaled, "shift", Scaled.shift)


def two_fits(change, compile):
    Scaled.shift = 0.1
    m, loss = model(mf.BatchNorm(8)), mf.HuberLoss(delta=0.5)
    optimizer = mf.SGD(m, lr=0.1, momentum=0.9)
    fit(m, loss, optimizer, compile=compile)
    loss, optimizer = change(m, loss, optimizer) or (loss, optimizer)
    fit(m, loss, optimizer, compile=compile, epochs=2)
    return values(m)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_between_two_fits_is_obeyed_as_without_compilation(change):
    compiled, plain = two_fits(change, True), two_fits(change, False)
    close(compiled, plain)
    if change not in (unfrozen_again, equal_optimizer):
        unchanged = two_fits(lambda *things: None, False)
        assert any(not np.allclose(a, b, atol=1e-4) for a, b in zip(compiled, unchanged)), "the change does nothing"


def test_dropout_draws_other_numbers_in_every_fit_and_the_seed_repeats_them():
    def losses():
        m = mf.Sequential(mf.Linear(3, 8), mf.Dropout(0.5), mf.Linear(8, 2))
        loss, optimizer = mf.MSELoss(), mf.SGD(m, lr=0.0)
        return [fit(m, loss, optimizer, seed=seed).history["loss"][0] for seed in (1, 2, 1)]

    first, second, third = losses()
    assert first == third != second


def test_compiled_and_plain_fits_take_turns():
    m, twin, loss = model(), model(), mf.MSELoss()
    optimizer, others = mf.SGD(m, lr=0.1, momentum=0.9), mf.SGD(twin, lr=0.1, momentum=0.9)
    for compile in (True, False, True, True):
        fit(m, loss, optimizer, compile=compile)
        fit(twin, mf.MSELoss(), others, compile=False)
    close(values(m), values(twin))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_fitted_model_trains_on_its_own(copied):
    m, loss = mf.Sequential(mf.Linear(3, 8), mf.Tanh(), mf.Linear(8, 2)), mf.MSELoss()
    fit(m, loss, mf.SGD(m, lr=0.1))
    twin = copied(m)
    before = values(m)
    assert mx.array_equal(twin.predict(X), m.predict(X))
    fit(twin, loss, mf.SGD(twin, lr=0.1))
    assert all(map(np.array_equal, values(m), before)), "the original moved"
    assert not np.array_equal(values(twin)[0], before[0])
    fit(m, loss, mf.SGD(m, lr=0.1))
    assert all(map(np.array_equal, values(m), values(twin)))


@pytest.mark.parametrize("loader", ["convolutional", "dense"])
def test_fit_runs_in_another_thread_after_the_main_one_and_back(loader):
    def make():
        mf.seed(0)
        if loader == "dense":
            return model()
        return mf.Sequential(mf.Reshape(3, 1, 1), mf.Conv2d(1, 4, 1), mf.ReLU(), mf.Flatten(), mf.Linear(12, 2))

    m, twin, loss = make(), make(), mf.MSELoss()
    optimizer, others = mf.SGD(m, lr=0.1), mf.SGD(twin, lr=0.1)
    errors = []

    def elsewhere():
        try:
            fit(m, loss, optimizer)
            mx.eval([p.value for p in m.parameters()])
        except BaseException as error:
            errors.append(error)

    fit(m, loss, optimizer)
    for _ in range(2):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    fit(m, loss, optimizer)
    assert errors == []
    fit(twin, loss, others, epochs=4, compile=False)
    close(values(m), values(twin))


@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "not compiled"])
def test_a_layer_that_was_taken_out_during_training_stays_as_it_was(compile):
    class Replaces(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            if batch == 0:
                self.taken_out, self.new = self.model[-1], mf.Linear(8, 2)
                self.model[-1] = self.new
                self.before = [np.array(layer.weight.value) for layer in (self.taken_out, self.new)]

    m = model()
    optimizer = mf.SGD(m, lr=0.1, momentum=0.9)
    first, callback = np.array(m[0].weight.value), Replaces()
    fit(m, mf.MSELoss(), optimizer, batch_size=10, callbacks=[callback], compile=compile)
    for layer, before in zip((callback.taken_out, callback.new), callback.before):
        np.testing.assert_array_equal(np.array(layer.weight.value), before)
    assert not np.array_equal(np.array(m[0].weight.value), first)
