"""The flight recorder: sound trainings hear nothing, and every planted mistake is named by itself."""

import warnings
from contextlib import contextmanager

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe import Linear, ReLU, Sequential, Sigmoid, Tanh


@contextmanager
def heard():
    """Collects what the recorder says inside."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    messages += [str(w.message) for w in caught if issubclass(w.category, mf.RecorderWarning)]


def network(*hidden, activation=ReLU, last=2):
    layers = []
    for a, b in zip((2, *hidden), hidden):
        layers += [Linear(a, b), activation()]
    return Sequential(*layers, Linear(hidden[-1], last))


def fly(model, optimizer=None, loss="cross_entropy", epochs=5, n=200, recorder=None, batch_size=20, more=(), **options):
    """Train on the disk with a recorder that looks after every epoch."""
    x, labels = mf.datasets.disk(n, seed=0)
    x = (x - 0.5) * 3.46
    y = labels if loss == "cross_entropy" else mf.one_hot(labels, 2)
    recorder = recorder or mf.FlightRecorder(every=1)
    optimizer = optimizer or mf.SGD(model, lr=0.05, momentum=0.9)
    settings = {"verbose": 0, "compile": False, "seed": 0, **options}
    model.fit(
        x,
        y,
        loss=loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[recorder, *more],
        **settings,
    )
    return recorder


class Keep(mf.Callback):
    """Calls a function before every batch."""

    def __init__(self, function):
        self.function = function

    def on_batch_begin(self, batch, logs=None):
        self.function(batch)


# -------------------------------------------------------------------- sound trainings


def sound_trainings():
    sgd, adam = mf.SGD, mf.Adam
    for activation in (ReLU, Tanh, mf.LeakyReLU, mf.GELU):
        yield network(25, 25, 25, activation=activation), lambda m: sgd(m, lr=0.1, momentum=0.9), "cross_entropy"
        yield network(16, activation=activation), lambda m: adam(m, lr=0.01), "mse"
    yield network(25, activation=Sigmoid), lambda m: sgd(m, lr=0.05, momentum=0.9), "cross_entropy"
    yield Sequential(Linear(2, 25), mf.BatchNorm(25), ReLU(), Linear(25, 2)), lambda m: sgd(m, lr=0.1), "cross_entropy"


@pytest.mark.parametrize("seed", range(3))
def test_thirty_sound_trainings_hear_nothing(seed):
    mf.seed(seed)
    count = 0
    with heard() as messages:
        for model, optimizer, loss in sound_trainings():
            recorder = fly(model, optimizer(model), loss, seed=None)
            assert recorder.findings == [] and len(recorder.readings) == 6
            count += 1
    assert count == 10 and messages == []


# -------------------------------------------------------------------- planted mistakes


def scaled(model, factor, *indices):
    for index in indices or range(len(model)):
        if isinstance(model[index], Linear):
            model[index].weight.value = model[index].weight.value * factor
    return model


def dead(**options):
    model = network(25, 25)
    model[2].bias.value = mx.full((25,), -10.0)
    return fly(model, **options)


def saturated():
    return fly(scaled(network(25, 25, activation=Tanh), 60, 0, 2))


def vanishing():
    return fly(network(*[10] * 12, activation=Sigmoid))


def exploding():
    model = scaled(network(*[20] * 10), 8)
    return fly(model, mf.SGD(model, lr=1e-9))


def rate_too_high():
    model = network(25, 25)
    return fly(model, mf.SGD(model, lr=30.0, momentum=0.9))


def rate_too_low():
    model = network(25, 25)
    return fly(model, mf.SGD(model, lr=1e-6))


MISTAKES = {
    dead: ("dead_units", "3", r"25 of the 25 units of layer '3', ReLU\(\) are dead.*LeakyReLU"),
    saturated: ("saturation", "1", r"layer '1', Tanh\(\) is saturated.*smaller weights"),
    vanishing: ("vanishing", "0", r"gradient vanishes: at layer '0', Linear\(2 -> 10\).*residual"),
    exploding: ("exploding", "0", r"gradient explodes: at layer '0', Linear\(2 -> 20\).*clip"),
    rate_too_high: ("rate_too_high", None, "learning rate is too high.*a tenth"),
    rate_too_low: ("rate_too_low", None, "learning rate is too low.*ten times"),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_a_planted_mistake_is_named_once_and_alone(mistake):
    kind, layer, words = MISTAKES[mistake]
    with heard() as messages:
        recorder = mistake()
    assert [finding.kind for finding in recorder.findings] == [kind], recorder
    assert layer in (None, recorder.findings[0].layer)
    assert messages == [str(recorder.findings[0])] and messages[0].startswith("epoch ")
    with pytest.warns(mf.RecorderWarning, match=words):
        mistake()


def test_a_training_that_ends_in_nan_still_hears_of_the_rate():
    model = network(25, 25)
    recorder = mf.FlightRecorder(every=1)
    with heard() as messages, pytest.raises(mf.NonFiniteError):
        fly(model, mf.SGD(model, lr=1e30), recorder=recorder)
    assert [finding.kind for finding in recorder.findings] == ["rate_too_high"] and len(messages) == 1


# -------------------------------------------------------------------- what is recorded


def test_the_updates_are_those_of_the_first_step_of_the_epoch():
    model = network(4)
    start = {name: np.array(p.value) for name, p in model.named_parameters()}
    after = {}
    keep = Keep(lambda batch: batch == 1 and after.update({n: np.array(p.value) for n, p in model.named_parameters()}))
    recorder = mf.FlightRecorder(every=1)
    fly(model, epochs=1, n=60, recorder=recorder, more=[keep])
    updates = recorder.readings[1].updates
    assert recorder.readings[0].updates == {} and set(updates) == {"0.weight", "2.weight"}
    for name, ratio in updates.items():
        assert ratio == pytest.approx(np.linalg.norm(after[name] - start[name]) / np.linalg.norm(start[name]), rel=1e-4)


def test_a_recorder_changes_nothing_in_the_training():
    weights = []
    for recorder in ([], [mf.FlightRecorder(every=1)]):
        mf.seed(0)
        model = Sequential(Linear(2, 8), mf.BatchNorm(8), mf.Dropout(0.3), ReLU(), Linear(8, 2))
        x, labels = mf.datasets.disk(60, seed=0)
        options = {"optimizer": mf.SGD(model, lr=0.1, momentum=0.9), "callbacks": recorder, "compile": False}
        model.fit(x, labels, loss="cross_entropy", epochs=3, verbose=0, seed=1, **options)
        weights.append(np.concatenate([np.array(c.value).ravel() for c in (*model.parameters(), *model.buffers())]))
    assert np.array_equal(*weights)


def test_streams_and_frozen_layers_are_recorded_too():
    x, labels = mf.datasets.disk(40, seed=0)
    stream = [(x[:20], labels[:20]), (x[20:], labels[20:])]
    model, recorder = network(4), mf.FlightRecorder(every=1)
    model[0].freeze()
    optimizer = mf.SGD(model, lr=0.1)
    model.fit(
        stream, loss="cross_entropy", optimizer=optimizer, epochs=2, verbose=0, callbacks=[recorder], compile=False
    )
    assert [reading.epoch for reading in recorder.readings] == [0, 1, 2]
    assert list(recorder.readings[-1].updates) == ["2.weight"]


def test_every_says_after_which_epochs_it_looks():
    recorder = fly(network(4), epochs=7, n=40, recorder=mf.FlightRecorder(every=3))
    assert [reading.epoch for reading in recorder.readings] == [0, 3, 6, 7]


def test_by_default_readings_wait_until_their_share_of_the_time_allows_them(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("miniframe.insight.flight_recorder.time", clock)
    recorder = mf.FlightRecorder(share=0.05)
    # an epoch takes 10 seconds of this clock, and a reading 1
    fly(network(4), epochs=21, n=20, recorder=recorder, more=[Keep(lambda batch: clock.pass_by(10))])
    epochs = [reading.epoch for reading in recorder.readings]
    assert epochs[0] == 0 and epochs[-1] == 21
    assert 8 <= len(epochs[1:-1]) <= 0.05 * clock.now


class Clock:
    """A clock that only a test moves; a look at it takes one second."""

    now = 0.0

    def pass_by(self, seconds):
        self.now += seconds

    def perf_counter(self):
        self.now += 1
        return self.now


@pytest.mark.parametrize("options", [{"every": 0}, {"share": 0}, {"share": 2}, {"samples": 0}])
def test_unsuitable_settings_are_refused(options):
    with pytest.raises(ValueError, match="FlightRecorder: expected every >= 1"):
        mf.FlightRecorder(**options)


def test_a_resumed_training_keeps_what_was_recorded(tmp_path):
    with heard() as messages:
        before = dead(epochs=3, checkpoint=tmp_path)
        after = dead(epochs=5, checkpoint=tmp_path, resume=True)
    assert repr(after.readings[:4]) == repr(before.readings)  # NaN is not equal to itself
    assert [reading.epoch for reading in after.readings] == [0, 1, 2, 3, 4, 5]
    assert after.findings == before.findings and len(messages) == 1
